//! Times and durations, to be read.

use barkeep_journal::{Clock, Header};

const US: u64 = 1_000;
const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;

/// A duration in its fitting unit, to the nanosecond where the unit allows.
pub fn duration(ns: u64) -> String {
    match ns {
        0..US => format!("{ns} ns"),
        US..MS => format!("{} us", decimals(ns, US)),
        MS..S => format!("{} ms", decimals(ns, MS)),
        _ => format!("{} s", decimals(ns, S)),
    }
}

/// A duration to three digits, where many stand in a line.
pub fn rough(ns: u64) -> String {
    let (unit, name) = match ns {
        0..US => return duration(ns),
        US..MS => (US, "us"),
        MS..S => (MS, "ms"),
        _ => (S, "s"),
    };
    match ns / unit {
        0..10 => format!("{}.{:02} {name}", ns / unit, ns % unit * 100 / unit),
        10..100 => format!("{}.{} {name}", ns / unit, ns % unit * 10 / unit),
        whole => format!("{whole} {name}"),
    }
}

/// A moment since the start of the run, twelve columns wide. The kernel's log may be earlier.
pub fn moment(ns: u64, start: u64) -> String {
    let since = ns.abs_diff(start);
    let sign = if ns < start { "-" } else { "" };
    let (unit, name) = if since < S { (MS, "ms") } else { (S, "s") };
    let number = format!("{sign}{}.{:03}", since / unit, since % unit * 1000 / unit);
    format!("{number:>9} {name:<2}")
}

/// Lane and clock, to stand beside every number.
pub fn lane_and_clock(header: Header) -> String {
    let clock = match header.clock {
        Clock::Virtual => "virtual time",
        Clock::Emulated => "emulated time",
        Clock::Hardware => "hardware time",
    };
    format!("{}, {clock}", header.lane)
}

fn decimals(ns: u64, unit: u64) -> String {
    let text = format!("{}.{:03}", ns / unit, ns % unit * 1000 / unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (ns, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (25_000, "25 us"),
            (104_213_000, "104.213 ms"),
            (1_500_000_000, "1.5 s"),
            (u64::MAX, "18446744073.709 s"),
        ] {
            assert_eq!(duration(ns), text);
        }
    }

    #[test]
    fn rough_durations() {
        for (ns, text) in
            [(12, "12 ns"), (49_824, "49.8 us"), (1_028_999, "1.02 ms"), (104_213_000, "104 ms")]
        {
            assert_eq!(rough(ns), text);
        }
    }

    #[test]
    fn moments_are_of_one_width() {
        for (ns, text) in [(5_231_000, "    4.231 ms"), (61_001_000_000, "   61.000 s "), (0, "   -1.000 ms")]
        {
            assert_eq!(moment(ns, 1_000_000), text);
        }
    }
}
