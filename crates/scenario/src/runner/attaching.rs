//! Attaches in the background that are tried for their errno, and what was expected of them.

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
    pub(super) fn attach_behind(
        &mut self,
        to: &Place,
        after: Duration,
        expect: &str,
    ) -> Result<(), RunError> {
        let attach = Attach::once_out(self.window(to)?, after);
        let attach = Background::start(attach, self.world, self.scope);
        self.background.push(Observer { place: to.to_string(), expect: expect.to_owned(), attach });
        Ok(())
    }

    pub(super) fn join_background(&mut self) {
        for Observer { place, expect, attach } in std::mem::take(&mut self.background) {
            let outcome = attach.join(self.world);
            self.expect_errno(&format!("attach {place}"), &expect, outcome);
        }
    }
}
