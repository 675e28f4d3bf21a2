//! What either process can be told to do, and how an order of such steps is written.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// Has the device whose BAR it is.
    Exporter,
    /// Has the device that does the DMA.
    Importer,
}

/// How a process ends that holds something yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum End {
    /// It exits without having closed anything.
    Exit,
    /// SIGKILL.
    Kill,
}

/// A step of the exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ExporterStep {
    /// Closes its descriptor of the dma-buf.
    CloseBuffer,
    /// Takes its mapping of the BAR away.
    UnmapBar,
    /// Closes its descriptor of the device file.
    CloseDevice,
    /// Closes its descriptor of the iommufd context.
    CloseContext,
    /// Writes a bare FLR to config space.
    Flr,
    /// Takes memory decode away.
    DecodeOff,
    /// Gives it back.
    DecodeOn,
    /// Ends.
    End(End),
}

/// A step of the importer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ImporterStep {
    /// Takes the dma-buf out of the socket.
    Receive,
    /// Maps it: `IOMMU_IOAS_MAP_FILE`.
    Map,
    /// Tells the engine to write there, and does not wait.
    StartDma,
    /// `IOMMU_IOAS_UNMAP`.
    Unmap,
    /// Closes its descriptor of the dma-buf.
    CloseBuffer,
    /// Detaches the engine from the address space.
    Detach,
    /// Closes its descriptor of the device file.
    CloseDevice,
    /// Closes its descriptor of the iommufd context.
    CloseContext,
    /// Ends.
    End(End),
}

/// A step of either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Of the exporter.
    Exporter(ExporterStep),
    /// Of the importer.
    Importer(ImporterStep),
}

use ExporterStep as E;
use ImporterStep as I;

impl Step {
    /// Every step with its name, in the order in which orders are looked for.
    pub const ALL: [(Step, &'static str); 19] = [
        (Step::Importer(I::Receive), "i.receive"),
        (Step::Importer(I::Map), "i.map"),
        (Step::Importer(I::StartDma), "i.dma"),
        (Step::Exporter(E::CloseBuffer), "e.buffer"),
        (Step::Exporter(E::UnmapBar), "e.bar"),
        (Step::Exporter(E::CloseDevice), "e.device"),
        (Step::Exporter(E::CloseContext), "e.context"),
        (Step::Exporter(E::Flr), "e.flr"),
        (Step::Exporter(E::DecodeOff), "e.decode-off"),
        (Step::Exporter(E::DecodeOn), "e.decode-on"),
        (Step::Importer(I::Unmap), "i.unmap"),
        (Step::Importer(I::CloseBuffer), "i.buffer"),
        (Step::Importer(I::Detach), "i.detach"),
        (Step::Importer(I::CloseDevice), "i.device"),
        (Step::Importer(I::CloseContext), "i.context"),
        (Step::Exporter(E::End(End::Kill)), "e.kill"),
        (Step::Exporter(E::End(End::Exit)), "e.exit"),
        (Step::Importer(I::End(End::Kill)), "i.kill"),
        (Step::Importer(I::End(End::Exit)), "i.exit"),
    ];

    /// Whose step it is.
    #[must_use]
    pub fn side(self) -> Side {
        match self {
            Self::Exporter(_) => Side::Exporter,
            Self::Importer(_) => Side::Importer,
        }
    }

    /// How it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        // Every step is in the table: a test holds it to that.
        Self::ALL.iter().find(|(step, _)| *step == self).map_or("?", |(_, name)| name)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Not a step.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no step; an order is steps with commas between them: {names}", names = names())]
pub struct BadStep(String);

fn names() -> String {
    Step::ALL.map(|(_, name)| name).join(" ")
}

impl FromStr for Step {
    type Err = BadStep;

    fn from_str(text: &str) -> Result<Self, BadStep> {
        let found = Self::ALL.iter().find(|(_, name)| *name == text);
        found.map(|(step, _)| *step).ok_or_else(|| BadStep(text.to_owned()))
    }
}

/// Steps, one after the other. Written with commas between them, which is its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Order(pub Vec<Step>);

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|step| step.name()).collect();
        f.pad(&names.join(","))
    }
}

impl FromStr for Order {
    type Err = BadStep;

    fn from_str(text: &str) -> Result<Self, BadStep> {
        text.split(',').map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_read_back_as_written() {
        let all = Order(Step::ALL.iter().map(|(step, _)| *step).collect());
        assert_eq!(all.to_string().parse(), Ok(all));
        let mut names: Vec<_> = Step::ALL.iter().map(|(_, name)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Step::ALL.len());
        assert!("i.map,e.klil".parse::<Order>().unwrap_err().to_string().contains("e.kill"));
    }
}
