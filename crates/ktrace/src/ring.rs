//! A page of the kernel's trace buffer, as `trace_pipe_raw` gives it
//! (`include/linux/ring_buffer.h`, `kernel/trace/ring_buffer.c`).

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raw<'a> {
    /// Nanoseconds of the buffer's clock.
    pub time_ns: u64,
    pub payload: &'a [u8],
}

/// What a page has.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page<'a> {
    pub records: Vec<Raw<'a>>,
    /// Records before this page were overwritten: how many, where the kernel has said so, else 1.
    pub missed: u64,
}

/// `time_stamp` and `commit` of `struct buffer_data_page`.
const HEADER: usize = 16;
/// The bytes that are used, in `commit`.
const COMMIT: u64 = 0xf_ffff;
/// `RB_MISSED_EVENTS`: some were lost before this page; `RB_MISSED_STORED`: their number stands behind the data.
const MISSED: u64 = 1 << 31;
const MISSED_STORED: u64 = 1 << 30;
/// `type_len` up to which it is the length, in words of four bytes.
const LONGEST: u32 = 28;
const PADDING: u32 = 29;
const TIME_EXTEND: u32 = 30;
const TIME_STAMP: u32 = 31;
/// Bits of a `time_delta`.
const DELTA_BITS: u32 = 27;
/// A time stamp has its upper five bits from the one before (`ABS_TS_MASK`).
const STAMP_BITS: u32 = 59;

/// Reads a page; what cannot be understood ends it, and nothing behind is taken for a record.
pub(crate) fn page(bytes: &[u8]) -> Option<Page<'_>> {
    let (mut time_ns, commit) = (u64_at(bytes, 0)?, u64_at(bytes, 8)?);
    let data = bytes.get(HEADER..)?;
    let used = (commit & COMMIT) as usize;
    let missed = match (commit & MISSED != 0, commit & MISSED_STORED != 0) {
        (false, _) => 0,
        (true, false) => 1,
        (true, true) => u64_at(data, used).unwrap_or(1).max(1),
    };
    let mut rest = data.get(..used)?;
    let mut records = Vec::new();
    while let Some(word) = u32_at(rest, 0) {
        let (kind, delta) = (word & 0x1f, u64::from(word >> 5));
        let length = match kind {
            PADDING if delta == 0 => break,
            PADDING => u32_at(rest, 4)? as usize,
            TIME_EXTEND => {
                time_ns = time_ns.wrapping_add(u64::from(u32_at(rest, 4)?) << DELTA_BITS | delta);
                4
            }
            TIME_STAMP => {
                let upper = time_ns >> STAMP_BITS << STAMP_BITS;
                time_ns = upper | u64::from(u32_at(rest, 4)?) << DELTA_BITS | delta;
                4
            }
            0..=LONGEST => {
                time_ns = time_ns.wrapping_add(delta);
                // `array[0]` is the length where it is not in the header; it counts itself.
                let (at, end) = match kind {
                    0 => (8, 4 + u32_at(rest, 4)? as usize),
                    words => (4, 4 + 4 * words as usize),
                };
                records.push(Raw { time_ns, payload: rest.get(at..end)? });
                end - 4
            }
            _ => return None,
        };
        rest = rest.get((4 + length).next_multiple_of(4)..).unwrap_or_default();
    }
    Some(Page { records, missed })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(time: u64, flags: u64, words: &[u32]) -> Vec<u8> {
        let commit = flags | (4 * words.len() as u64);
        let mut page = [time.to_le_bytes(), commit.to_le_bytes()].concat();
        page.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        page
    }

    fn word(kind: u32, delta: u32) -> u32 {
        (delta << 5) | kind
    }

    #[test]
    fn deltas_add_up_and_lengths_are_kept() {
        let words = [word(1, 5), 7, word(TIME_EXTEND, 1), 1, word(0, 2), 12, 8, 9, word(PADDING, 0), 1];
        let page = bytes(1000, 0, &words);
        let page = super::page(&page).unwrap();
        let times: Vec<_> = page.records.iter().map(|raw| (raw.time_ns, raw.payload.len())).collect();
        assert_eq!(times, [(1005, 4), (1005 + (1 << 27) + 1 + 2, 8)]);
        assert_eq!(page.missed, 0);
    }

    #[test]
    fn an_absolute_stamp_replaces_the_sum() {
        let page = bytes(1 << 60, 0, &[word(TIME_STAMP, 3), 2, word(1, 4), 0]);
        assert_eq!(super::page(&page).unwrap().records[0].time_ns, (1 << 60) + (2 << 27) + 3 + 4);
    }

    #[test]
    fn what_was_missed_is_counted() {
        let mut page = bytes(0, MISSED | MISSED_STORED, &[word(1, 1), 0]);
        page.extend(17u64.to_le_bytes());
        assert_eq!(super::page(&page).unwrap().missed, 17);
        assert_eq!(super::page(&bytes(0, MISSED, &[])).unwrap().missed, 1);
    }

    #[test]
    fn nonsense_is_no_page_and_no_panic() {
        assert_eq!(page(&[]), None);
        assert_eq!(page(&bytes(0, 100, &[])), None, "more than there is");
        assert_eq!(page(&bytes(0, 0, &[word(0, 0), 400])), None);
        assert_eq!(page(&bytes(0, 0, &[word(0, 0), u32::MAX])), None);
        assert_eq!(page(&bytes(0, 0, &[word(PADDING, 1), u32::MAX])).unwrap().records, []);
    }
}
