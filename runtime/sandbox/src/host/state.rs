//! The reactor's state: consistent reads, and writes that wait for the commit.

use bytes::Bytes;

use reactor_core::event::Fault;

use super::super::bindings::reactor::guest::state;
use super::super::limits::HostFault;
use super::{Host, clip};

/// Overhead charged for a buffered entry in addition to its bytes, so that many empty ones count, too.
const ENTRY: usize = 64;

impl Host {
    fn check_key(&self, key: &str) -> Result<(), state::Error> {
        let most = self.limits().state_key;
        if (1..=most).contains(&key.len()) {
            return Ok(());
        }
        Err(state::Error::InvalidKey(format!("the key has {} bytes; 1 to {most} are allowed", key.len())))
    }

    fn read(&mut self, key: &str) -> wasmtime::Result<Option<Vec<u8>>> {
        if let Some(own) = self.writes.get(key) {
            return Ok(own.as_ref().map(|value| value.to_vec()));
        }
        if !self.reads.contains_key(key) {
            let found = self.call.world.state(key).map_err(|error| {
                HostFault::error(Fault::Host, format!("cannot read state {:?}: {error:#}", clip(key, 100)))
            })?;
            self.read_bytes += key.len() + ENTRY + found.as_ref().map_or(0, |(value, _)| value.len());
            let most = self.limits().state_reads;
            if self.read_bytes > most {
                return Err(HostFault::error(Fault::StateLimit, format!("more than {most} bytes of state read")));
            }
            self.reads.insert(key.to_owned(), found);
        }
        Ok(self.reads.get(key).and_then(|read| read.as_ref()).map(|(value, _)| value.to_vec()))
    }

    fn write(&mut self, key: String, value: Option<Vec<u8>>) -> wasmtime::Result<()> {
        let size = |key: &str, value: Option<usize>| key.len() + ENTRY + value.unwrap_or(0);
        let old = self.writes.get(&key).map_or(0, |old| size(&key, old.as_ref().map(Bytes::len)));
        let after = self.write_bytes - old + size(&key, value.as_ref().map(Vec::len));
        let most = self.limits().state_writes;
        if after > most {
            return Err(HostFault::error(Fault::StateLimit, format!("more than {most} bytes of state written")));
        }
        self.write_bytes = after;
        self.writes.insert(key, value.map(Bytes::from));
        Ok(())
    }
}

impl state::Host for Host {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, state::Error>> {
        self.enter()?;
        match self.check_key(&key) {
            Ok(()) => self.read(&key).map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), state::Error>> {
        self.enter()?;
        if let Err(error) = self.check_key(&key) {
            return Ok(Err(error));
        }
        if value.len() > self.limits().state_value {
            return Ok(Err(state::Error::ValueTooLarge(value.len() as u64)));
        }
        self.write(key, Some(value)).map(Ok)
    }

    fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), state::Error>> {
        self.enter()?;
        match self.check_key(&key) {
            Ok(()) => self.write(key, None).map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }
}
