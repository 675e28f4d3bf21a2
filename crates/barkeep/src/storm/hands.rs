//! Whoever carries episodes out in a lane.

use super::boots::{self, Boots};
use super::interrupt::Interrupt;
use super::work::{Outcome, Show, Terms, Work};
use super::{alone, workers};
use crate::cli::LaneName;
use barkeep_journal::Lane;
use barkeep_scenario::Scenario;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// A lane, ready.
pub struct Hands {
    /// Which.
    pub lane: LaneName,
    /// The emulated machine, in lane lab.
    pub boots: Option<Boots>,
    /// What ends it all.
    pub interrupt: Interrupt,
}

impl Hands {
    /// Carries all episodes out, and shows each in their order. In lane lab every journal goes where
    /// `place` says, in lanes kvm and host that of an episode that does not pass, in lane model none.
    ///
    /// # Errors
    /// The lane does not do its part.
    pub fn carry_out(
        &self,
        work: Work<'_>,
        terms: &Terms,
        place: &(dyn Fn(usize) -> PathBuf + Sync),
        show: &mut Show<'_>,
    ) -> anyhow::Result<()> {
        let alone = |lane, show: &mut Show<'_>| {
            alone::carry_out(work, lane, terms, &self.interrupt, &|number| Some(place(number)), show)
        };
        match (self.lane, &self.boots) {
            (LaneName::Model, _) => workers::carry_out(work, terms, &self.interrupt, show),
            (LaneName::Kvm, _) => alone(Lane::Kvm, show),
            (LaneName::Host, _) => alone(Lane::Host, show),
            (LaneName::Lab, Some(boots)) => {
                boots::carry_out(work, boots, terms, &self.interrupt, place, show)
            }
            (LaneName::Lab, None) => anyhow::bail!("lane lab without a machine"),
        }
    }

    /// Carries one out, and gives what came of it with its journal, if it does not pass.
    ///
    /// # Errors
    /// The lane does not do its part.
    pub fn one(&self, episode: &Scenario, terms: &Terms, folder: &Path) -> anyhow::Result<Option<Outcome>> {
        let (mut came, one) = (None, [episode.clone()]);
        let work = Work::Written(&one);
        let mut show = |_, outcome| {
            came = Some(outcome);
            ControlFlow::Break(())
        };
        match self.lane {
            LaneName::Model => {
                let keep = |_| Some(folder.to_owned());
                alone::carry_out(work, Lane::Model, terms, &self.interrupt, &keep, &mut show)?;
            }
            LaneName::Kvm | LaneName::Lab | LaneName::Host => {
                self.carry_out(work, terms, &|_| folder.to_owned(), &mut show)?;
            }
        }
        Ok(came)
    }
}
