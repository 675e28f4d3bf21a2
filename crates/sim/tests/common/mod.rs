//! A VM of simulated devices whose guest is the test: it writes where a vCPU would.

use barkeep_export::{Importer, Passthrough};
use barkeep_journal::Journal;
use barkeep_platform::console::Ends;
use barkeep_platform::{Board, BoardParts, Bus, Ram};
use barkeep_sim::{SimAdministrator, SimHost, SimSeconds, SimSpace};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A board of these devices, started, with its slots at `slots` and its journal at `journal`, and its bus.
pub fn started(
    host: &Arc<SimHost>,
    journal: Journal,
    slots: Arc<dyn Importer>,
    devices: Vec<(String, Arc<Passthrough>)>,
) -> (Board, Bus) {
    let parts = BoardParts {
        journal,
        ram: Arc::new(Ram::new(16 << 20).unwrap()),
        space: Arc::new(SimSpace(Arc::clone(host))),
        slots,
        devices,
        faults: None,
        administrator: Arc::new(SimAdministrator(Arc::clone(host))),
        others: BTreeMap::new(),
        sleep: Arc::new(|_| ()),
        seconds: Arc::new(SimSeconds(Arc::clone(host))),
        importers: None,
    };
    let board = Board::new(parts).unwrap();
    board.start().unwrap();
    let bus = board.bus(None, Ends { output: Box::new(std::io::sink()), line: None });
    (board, bus)
}
