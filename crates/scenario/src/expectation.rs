//! What was expected, and what was found: into the journal, and whether the two are the same.

use crate::world::World;
use barkeep_export::Errno;
use barkeep_journal::{Actor, Event, Kind, json};

/// What an errno is expected to be where whoever expects cannot know: it is only seen what.
const ANY: &str = "any";

/// An expectation that held or did not; gives which.
pub(crate) fn judged(world: &dyn World, what: &str, held: bool) -> bool {
    let event = Event::new(Kind::Expectation, Actor::Scenario).text(what).result(i32::from(!held));
    world.board().journal().emit(event);
    held
}

/// That something gives `expect`: `ok`, the name of an errno, or `any`.
pub(crate) fn expect_errno(world: &dyn World, what: &str, expect: &str, result: Result<(), Errno>) -> bool {
    let got = match result {
        Ok(()) => "ok".to_owned(),
        Err(errno) => {
            let number = -errno.raw_os_error();
            json::errno_name(number).map_or_else(|| number.to_string(), str::to_owned)
        }
    };
    judged(world, &format!("{what}: {expect} expected, {got} found"), expect == ANY || got == expect)
}
