//! Times, sizes and rates as people write them: `10s`, `14d`, `64MiB`, `100/s`.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

use reactor_core::subscription::Rate;

/// Reads a duration with its unit, such as `250ms`, `10s`, `1h30m` or `14d` (a day has 24 hours).
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    if is_bare_number(text) {
        return Err(format!("a duration needs a unit: write \"{text}s\" for seconds, or use ms, m, h or d"));
    }
    let wrong = || "not a duration; write it like \"250ms\", \"10s\", \"1h30m\" or \"14d\"".to_owned();
    let span: Span = text.parse().map_err(|_| wrong())?;
    let exact = span.to_duration(SpanRelativeTo::days_are_24_hours());
    let exact = exact.map_err(|_| "months and years have no fixed length; write it in days".to_owned())?;
    Duration::try_from(exact).map_err(|_| "a duration cannot be negative".to_owned())
}

/// Reads a size with its unit, such as `64MiB`, `256KiB` or `1MB`, in bytes.
pub fn parse_size(text: &str) -> Result<usize, String> {
    if is_bare_number(text) {
        return Err(format!("a size needs a unit: write \"{text}B\" for bytes, or use KiB or MiB"));
    }
    let size: bytesize::ByteSize =
        text.parse().map_err(|_| "not a size; write it like \"256KiB\" or \"64MiB\"".to_owned())?;
    usize::try_from(size.as_u64()).map_err(|_| "larger than this machine can address".to_owned())
}

/// Whether only the unit is missing; Rust also parses `inf` and `1e3` as numbers.
fn is_bare_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// Reads a rate: `100/s`, `6/m` or `1/h`.
pub fn parse_rate(text: &str) -> Result<Rate, String> {
    let wrong = || "not a rate; write it like \"100/s\", \"6/m\" or \"1/h\"".to_owned();
    let (count, unit) = text.split_once('/').ok_or_else(wrong)?;
    let count = count.trim().parse().map_err(|_| wrong())?;
    let per = match unit.trim() {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(wrong()),
    };
    if count == 0 {
        return Err("a rate of 0 would never start anything; remove the reactor instead".to_owned());
    }
    Ok(Rate { count, per: Duration::from_secs(per) })
}

/// A duration as people write it.
pub fn show_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    if ms == 0 {
        return "0s".to_owned();
    }
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    match units.iter().find(|(unit, _)| ms >= *unit && ms.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", ms / unit),
        None => format!("{ms}ms"),
    }
}

/// A size as people write it.
pub fn show_size(bytes: usize) -> String {
    match bytes {
        b if b >= 1 << 30 && b.is_multiple_of(1 << 30) => format!("{}GiB", b >> 30),
        b if b >= 1 << 20 && b.is_multiple_of(1 << 20) => format!("{}MiB", b >> 20),
        b if b >= 1 << 10 && b.is_multiple_of(1 << 10) => format!("{}KiB", b >> 10),
        b => format!("{b}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let ms = |text| parse_duration(text).map(|duration| duration.as_millis());
        assert_eq!(ms("250ms"), Ok(250));
        assert_eq!(ms("1h30m"), Ok(5_400_000));
        assert_eq!(ms("14d"), Ok(14 * 86_400_000));
        assert_eq!(ms("0s"), Ok(0));
        for wrong in ["", "10", "10x", "-3s", "1 month", "s", "1e3", "99999999999d"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        assert!(parse_duration("10").is_err_and(|why| why.contains("\"10s\"")));
        assert!(parse_duration("inf").is_err_and(|why| !why.contains("infs")));
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("64MiB"), Ok(64 << 20));
        assert_eq!(parse_size("1MB"), Ok(1_000_000));
        assert_eq!(parse_size("10 B"), Ok(10));
        for wrong in ["", "64", "lots", "-1KiB"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates() {
        assert_eq!(parse_rate("100/s"), Ok(Rate { count: 100, per: Duration::from_secs(1) }));
        assert_eq!(parse_rate("6 / m"), Ok(Rate { count: 6, per: Duration::from_secs(60) }));
        for wrong in ["", "100", "0/s", "-1/s", "1/d", "x/s"] {
            assert!(parse_rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read() {
        for ms in [0, 1, 999, 1_000, 90_000, 3_600_000, 86_400_000 * 14] {
            let duration = Duration::from_millis(ms);
            assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }
        for bytes in [1, 1_023, 1_024, 300 << 10, 64 << 20, 2 << 30] {
            assert_eq!(parse_size(&show_size(bytes)), Ok(bytes));
        }
    }
}
