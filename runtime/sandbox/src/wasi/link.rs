//! The WASI interfaces that the run's world answers: clocks, randomness, environment. They replace wasmtime's own
//! implementation of these, so that it is never called.

use std::time::Duration;

use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::p2::bindings::cli::environment;
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};
use wasmtime_wasi::p2::{DynPollable, subscribe};

use super::pause::Pause;
use super::{LINKED, MAX_RANDOM};
use crate::host::Host;

/// Links them over the existing ones.
pub(crate) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    type Own = HasSelf<Host>;
    linker.allow_shadowing(true);
    environment::add_to_linker::<Host, Own>(linker, |host| host)?;
    wall_clock::add_to_linker::<Host, Own>(linker, |host| host)?;
    monotonic_clock::add_to_linker::<Host, Own>(linker, |host| host)?;
    random::add_to_linker::<Host, Own>(linker, |host| host)?;
    insecure::add_to_linker::<Host, Own>(linker, |host| host)?;
    insecure_seed::add_to_linker::<Host, Own>(linker, |host| host)?;
    linker.allow_shadowing(false);
    Ok(())
}

impl environment::Host for Host {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        Ok(self.call.world.environment())
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(vec![self.shared.spec.reactor.clone()])
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(None)
    }
}

impl wall_clock::Host for Host {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        let since = u64::try_from(self.call.world.wall().as_millisecond()).unwrap_or(0);
        Ok(datetime(Duration::from_millis(since)))
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(datetime(Duration::from_millis(1)))
    }
}

fn datetime(since: Duration) -> wall_clock::Datetime {
    wall_clock::Datetime { seconds: since.as_secs(), nanoseconds: since.subsec_nanos() }
}

impl Host {
    fn elapsed_nanos(&self) -> u64 {
        u64::try_from(self.call.world.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The world's random bytes, eight per question.
    fn random_bytes(&self, length: u64) -> wasmtime::Result<Vec<u8>> {
        if length > MAX_RANDOM {
            return Err(wasmtime::Error::msg(format!("more than {MAX_RANDOM} random bytes at once")));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.call.world.random().to_le_bytes()[..chunk.len()]);
        }
        Ok(bytes)
    }
}

impl monotonic_clock::Host for Host {
    fn now(&mut self) -> wasmtime::Result<monotonic_clock::Instant> {
        Ok(self.elapsed_nanos())
    }

    fn resolution(&mut self) -> wasmtime::Result<monotonic_clock::Duration> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, when: monotonic_clock::Instant) -> wasmtime::Result<Resource<DynPollable>> {
        let left = when.saturating_sub(self.elapsed_nanos());
        self.subscribe_duration(left)
    }

    fn subscribe_duration(&mut self, nanos: monotonic_clock::Duration) -> wasmtime::Result<Resource<DynPollable>> {
        let pause = match nanos {
            0 => Pause::None { yielded: false },
            nanos => Pause::Until(self.call.world.sleep(Duration::from_nanos(nanos))),
        };
        let table = &mut self.wasi.as_mut().expect(LINKED).table;
        let pause = table.push(pause)?;
        subscribe(table, pause)
    }
}

impl random::Host for Host {
    fn get_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        self.random_bytes(length)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.call.world.random())
    }
}

impl insecure::Host for Host {
    fn get_insecure_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        self.random_bytes(length)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.call.world.random())
    }
}

impl insecure_seed::Host for Host {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.call.world.random(), self.call.world.random()))
    }
}
