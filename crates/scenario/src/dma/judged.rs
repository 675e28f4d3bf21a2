//! What was seen of a DMA, held against what was to become of it.

use crate::engine::Ending;
use crate::language::Fate;

pub(super) fn told(expect: Fate, found: Option<u32>, faulted: Option<bool>, ending: &Ending) -> String {
    let data = match found {
        None => "the data is there",
        Some(u32::MAX) => "the BAR does not answer",
        Some(_) => "the data is not there",
    };
    let records = match faulted {
        Some(true) => "a fault was recorded",
        Some(false) => "no fault was recorded",
        None => "fault records cannot be read here",
    };
    let said = match ending {
        Ending::Over => String::new(),
        Ending::Success => ", the engine says: success".to_owned(),
        Ending::Failed(status) => format!(", the engine says: {status}"),
        Ending::Silent => ", the engine says nothing".to_owned(),
    };
    format!("the DMA {}: {data}, {records}{said}", should(expect))
}

pub(super) fn should(expect: Fate) -> &'static str {
    match expect {
        Fate::Lands => "should land",
        Fate::Faults => "should fault",
        Fate::Lost => "should be lost",
        Fate::Either => "may land or be lost",
    }
}

pub(super) fn as_expected(expect: Fate, found: Option<u32>, faulted: Option<bool>, ending: &Ending) -> bool {
    let well = match ending {
        Ending::Over | Ending::Success => true,
        Ending::Failed(_) | Ending::Silent => false,
    };
    match expect {
        Fate::Lands => found.is_none() && faulted != Some(true) && well,
        Fate::Faults => found.is_some() && faulted == Some(true),
        Fate::Lost => found.is_some(),
        Fate::Either => true,
    }
}
