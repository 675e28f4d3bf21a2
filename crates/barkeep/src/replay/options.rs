//! What `replay` takes beside what `run` does.

use crate::exit::{Exit, wrong};
use crate::lane::Place;
use crate::outside;
use barkeep_journal::Lane;
use barkeep_replay::Options;
use barkeep_timeline::Point;
use clap::Args;
use std::path::PathBuf;

/// Where it stops, and who says what is done there.
#[derive(Clone, Debug, Args)]
pub struct ReplayOptions {
    /// Stop there: after the N-th revoke was begun (revoke:17), the event at a place (seq:462), or at a time since the
    /// start of the run (1.690654, 250ms). There commands are read, from the terminal or --commands: inspect, step, next
    /// revoke, back, continue, …; `help` says what there is.
    #[arg(long, value_name = "POINT")]
    pub until: Option<Point>,
    /// Stop where the checker finds an invariant broken.
    #[arg(long = "break")]
    pub at_findings: bool,
    /// Lane lab, with --until: from there on to where the kernel next revokes (vfio_pci_dma_buf_move). There it stands, and
    /// the command that attaches a debugger to it is printed; once that has gone, the run goes on.
    #[arg(long, requires = "until", conflicts_with = "commands")]
    pub gdb: bool,
    /// Commands from a file, one a line, instead of from the terminal; at its end the run is left.
    #[arg(long, value_name = "FILE")]
    pub commands: Option<PathBuf>,
    /// Take a lane in which a run is not the same again: what is seen may be another run's.
    #[arg(long)]
    pub best_effort: bool,
}

impl ReplayOptions {
    /// Whether anybody is to look.
    pub fn stops(&self) -> bool {
        let Self { until, at_findings, gdb, commands, best_effort: _ } = self;
        until.is_some() || *at_findings || *gdb || commands.is_some()
    }

    /// Where the session stops by itself.
    pub fn session(&self) -> Options {
        Options { until: self.until, watch: self.at_findings }
    }

    /// Whether a run there can be stopped, and is the same again.
    ///
    /// # Errors
    /// It cannot, or is not.
    pub fn suits(&self, place: Place) -> anyhow::Result<()> {
        let usage = |what: String| Err(wrong(Exit::Usage, what));
        match place {
            Place::Here(Lane::Lab) => usage(
                "inside of the lab nobody can stop it: barkeep replay FILE --lane lab, from outside"
                    .to_owned(),
            ),
            Place::Here(lane) if self.gdb => {
                usage(format!("--gdb is for --lane lab: in lane {lane} there is no emulated kernel"))
            }
            Place::Here(lane @ (Lane::Kvm | Lane::Host)) if !self.best_effort => usage(format!(
                "in lane {lane} a run is not the same again, so a point of one is no point of the next; --lane model or \
                 lab, or --best-effort"
            )),
            Place::Here(Lane::Model | Lane::Kvm | Lane::Host) | Place::Emulator => Ok(()),
        }
    }

    /// Words of a command line without those of this.
    pub fn without_own(&self, words: &[String]) -> Vec<String> {
        let mut words = outside::without_options(words, &["--until", "--commands"]);
        words.retain(|word| !outside::REPLAY_FLAGS.contains(&word.as_str()));
        words
    }
}
