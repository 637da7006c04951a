//! `[reactors.NAME.retry]`, `[reactors.NAME.breaker]`, `[reactors.NAME.dedup]` and `[reactors.NAME.dead-letter]`.

use std::time::Duration;

use reactor_core::backoff::{Backoff, Jitter};
use reactor_core::event::DEAD_LETTER_TYPE;

use super::destination::{Channels, destination};
use super::keys::{BREAKER, DEAD_LETTER, DEDUP, RETRY, misplaced};
use super::model::{BreakerPolicy, DeadLetterPolicy, DedupPolicy, OnExhausted, RetryPolicy};
use super::pointer;
use super::reader::{Reader, Section};
use super::route::Route;
use super::units::show_duration;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// Default for how long duplicates are recognised.
pub(super) const DEDUP_WINDOW: Duration = Duration::from_secs(14 * 86_400);
const YEAR: Duration = Duration::from_secs(365 * 86_400);

pub(super) fn retry(reader: &mut Reader<'_>, section: &Section<'_>) -> RetryPolicy {
    let default = Backoff::doubling(SECOND, 100 * SECOND, Jitter::Full);
    let mut policy = RetryPolicy { max_attempts: 5, backoff: default, max_age: DAY };
    let Some(table) = reader.table(section, "retry") else { return policy };
    misplaced(reader, &table, RETRY);
    let initial = reader.duration(&table, "initial", Duration::ZERO..=12 * HOUR);
    let jitter = [("full", Jitter::Full), ("equal", Jitter::Equal), ("none", Jitter::None)];
    let attempts = reader.integer(&table, "max-attempts", 1..=1_000);
    policy.max_attempts = attempts.map_or(policy.max_attempts, |attempts| attempts as u32);
    let factor = reader.number(&table, "factor", 1.0..=100.0).unwrap_or(2.0);
    let jitter = reader.choice(&table, "jitter", &jitter).unwrap_or_default();
    policy.max_age = reader.duration(&table, "max-age", SECOND..=YEAR).unwrap_or(policy.max_age);
    let max = reader.duration(&table, "max", Duration::ZERO..=12 * HOUR);
    // If only one of the two is written, the other is adjusted to fit.
    let first = initial.unwrap_or(SECOND.min(max.unwrap_or(SECOND)));
    let longest = max.unwrap_or((100 * SECOND).max(first));
    first_within_longest(reader, &table, initial, max);
    policy.backoff = backoff(first, longest, factor, jitter);
    if let Some(age) = table.get("max-age")
        && policy.max_age < first
        && policy.max_attempts > 1
    {
        let title = format!("the first delay of {} may end after `max-age`", show_duration(first));
        let problem = reader.problem(age.span(), "no-retry", title).warning();
        let problem = problem.note("a back-off that would end later is not begun: the delivery becomes a dead letter");
        reader.warnings.push(problem.help("raise `max-age`, lower `initial`, or write max-attempts = 1"));
    }
    policy
}

/// The delays as written. Invalid ones have been noted already, and such a configuration never runs.
fn backoff(first: Duration, longest: Duration, factor: f64, jitter: Jitter) -> Backoff {
    Backoff::try_new(first, longest, factor, jitter).unwrap_or(Backoff::NONE)
}

/// Notes a first delay above the longest if both are written.
fn first_within_longest(
    reader: &mut Reader<'_>,
    table: &Section<'_>,
    initial: Option<Duration>,
    max: Option<Duration>,
) {
    if let (Some(initial), Some(max)) = (initial, max)
        && initial > max
        && let (Some(first), Some(ceiling)) = (table.get("initial"), table.get("max"))
    {
        let title = format!("the first delay is above `max`, which is {}", show_duration(max));
        let problem = reader.problem(first.span(), "initial-above-max", title);
        let problem = problem.related(reader.place(ceiling.span()), "the longest delay");
        reader.note(problem.help("lower `initial`, or raise `max`"));
    }
}

pub(super) fn breaker(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<BreakerPolicy> {
    let table = reader.table(section, "breaker")?;
    misplaced(reader, &table, BREAKER);
    let pause = Duration::from_millis(10)..=HOUR;
    let initial = reader.duration(&table, "initial", pause.clone());
    let max = reader.duration(&table, "max", pause);
    first_within_longest(reader, &table, initial, max);
    let first = initial.unwrap_or((5 * SECOND).min(max.unwrap_or(HOUR)));
    Some(BreakerPolicy {
        failures: reader.integer(&table, "failures", 2..=10_000).map_or(10, |failures| failures as u32),
        backoff: backoff(first, max.unwrap_or((60 * SECOND).max(first)), 2.0, Jitter::None),
    })
}

pub(super) fn dedup(reader: &mut Reader<'_>, section: &Section<'_>) -> DedupPolicy {
    let default = DedupPolicy { window: DEDUP_WINDOW, key: None, off: false };
    if section.get("dedup").is_some_and(|value| value.get_ref().as_bool() == Some(false)) {
        return DedupPolicy { off: true, ..default };
    }
    let Some(table) = reader.table(section, "dedup") else { return default };
    misplaced(reader, &table, DEDUP);
    DedupPolicy {
        window: reader.duration(&table, "window", SECOND..=YEAR).unwrap_or(default.window),
        key: pointer::into_event(reader, &table, "key"),
        off: false,
    }
}

pub(super) fn dead_letter(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    route: &Route,
    channels: &Channels<'_>,
) -> DeadLetterPolicy {
    let Some(table) = reader.table(section, "dead-letter") else { return DeadLetterPolicy::default() };
    misplaced(reader, &table, DEAD_LETTER);
    let options = [("continue", OnExhausted::Continue), ("park-key", OnExhausted::ParkKey)];
    let on_exhausted = reader.choice(&table, "on-exhausted", &options).unwrap_or_default();
    if on_exhausted == OnExhausted::ParkKey
        && section.get("order-by").is_none()
        && let Some(value) = table.get("on-exhausted")
    {
        let problem = reader.problem(value.span(), "park-without-order", "there is no key to park without `order-by`");
        reader.note(problem.help("add a line such as: order-by = \"/data/orderId\""));
    }
    let channel = reader.text(&table, "channel");
    if let Some(text) = &channel {
        destination(reader, text, &table.dotted("channel"), channels);
        // If a reactor gets back a dead letter that it could not handle, it fails on it again.
        let source = route.from.iter().find(|from| from.value == text.value);
        let wanted = route.on.iter().find(|(_, pattern)| pattern.matches(DEAD_LETTER_TYPE, 1));
        // A remote channel carries a dead letter as the original message, so the reactor wants it in any case.
        let outside = channels.read.get(&text.value).is_some_and(|channel| channel.is_remote());
        if let Some(source) = source
            && (outside || wanted.is_some())
        {
            let title =
                format!("dead letters would come back to the reactor they come from, through `{}`", text.written);
            let problem = reader.problem(text.span.clone(), "dead-letter-loop", title);
            let problem = problem.related(reader.place(source.span.clone()), "it reads this channel");
            let problem = match wanted.filter(|_| !outside) {
                Some((on, _)) => {
                    let label = format!("`{}` matches `{DEAD_LETTER_TYPE}`", on.written);
                    problem.related(reader.place(on.span.clone()), label)
                }
                None => problem,
            };
            reader.note(problem.help("forward them to a channel that this reactor does not read"));
        }
    }
    DeadLetterPolicy { channel: channel.map(|text| text.value), on_exhausted }
}
