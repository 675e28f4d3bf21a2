//! Attaches that are tried for their errno, and what was expected of them.

use super::{RunError, Runner};
use crate::attach::{Attach, Background};
use crate::language::Place;
use std::time::Duration;

/// An attach that goes on in the background.
pub(super) struct Observer<'scope> {
    place: String,
    expect: String,
    attach: Background<'scope>,
}

impl Runner<'_, '_> {
    pub(super) fn attach(
        &mut self,
        to: &Place,
        after: Duration,
        background: bool,
        expect: &str,
    ) -> Result<bool, RunError> {
        let spot = self.spot(to)?;
        if self.world.board().window(spot.device.index, spot.bar, spot.offset).is_none() {
            return Err(RunError::NoWindow(to.to_string()));
        }
        if background {
            let attach = Background::start(Attach::once_out(spot, after), self.world, self.scope);
            self.background.push(Observer { place: to.to_string(), expect: expect.to_owned(), attach });
            return Ok(true);
        }
        let outcome = Attach::now(spot, after).carry_out(self.world);
        Ok(self.expect_errno(&format!("attach {to}"), expect, outcome))
    }

    pub(super) fn join_background(&mut self) {
        for Observer { place, expect, attach } in std::mem::take(&mut self.background) {
            let outcome = attach.join(self.world);
            self.expect_errno(&format!("attach {place}"), &expect, outcome);
        }
    }
}
