//! The report as text.

use super::{Device, Report};
use crate::peers::{Peer, Reach};
use crate::row::Row;
use std::fmt;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = || self.machine.iter().chain(self.devices.iter().flat_map(|device| &device.rows));
        let width = rows().map(|row| row.what.len()).max().unwrap_or_default();
        writeln!(f, "machine")?;
        print_rows(f, &self.machine, width)?;
        for device in &self.devices {
            writeln!(f, "\n{}", title(device))?;
            print_rows(f, &device.rows, width)?;
        }
        self.print_matrix(f)?;
        let failing = rows().filter(|row| row.state == crate::State::Fail).count();
        match failing {
            0 => writeln!(f, "\nnothing is in the way"),
            1 => writeln!(f, "\n1 thing is in the way"),
            many => writeln!(f, "\n{many} things are in the way"),
        }
    }
}

fn title(device: &Device) -> String {
    let Device { address, vendor, device, class, .. } = device;
    format!("{address}  {vendor:04x}:{device:04x}, class {class:06x}")
}

fn print_rows(f: &mut fmt::Formatter<'_>, rows: &[Row], width: usize) -> fmt::Result {
    for Row { what, state, found, cure } in rows {
        write!(f, "  {:<4}  {what:<width$}  {found}", state.word())?;
        match cure {
            Some(cure) => writeln!(f, " | cure: {cure}")?,
            None => writeln!(f)?,
        }
    }
    Ok(())
}

impl Report {
    /// A line for each engine, a column for each target, and below it why.
    fn print_matrix(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.peers.is_empty() {
            return Ok(());
        }
        writeln!(f, "\npeers: DMA of the line's device into BARs of the column's")?;
        let mut reasons: Vec<(&str, Option<&str>)> = Vec::new();
        write!(f, "  {:12}", "")?;
        for to in &self.devices {
            write!(f, "  {:>12}", to.address)?;
        }
        writeln!(f)?;
        for from in &self.devices {
            write!(f, "  {}", from.address)?;
            for to in &self.devices {
                let peer = self.peers.iter().find(|peer| peer.from == from.address && peer.to == to.address);
                write!(f, "  {:>12}", peer.map_or("-".to_owned(), |peer| cell(peer, &mut reasons)))?;
            }
            writeln!(f)?;
        }
        for (number, (why, cure)) in (1..).zip(&reasons) {
            let cure = cure.map(|cure| format!(" | cure: {cure}")).unwrap_or_default();
            writeln!(f, "  [{number}] {why}{cure}")?;
        }
        Ok(())
    }
}

/// The word, and the number of its reason; the same reason has one number.
fn cell<'a>(peer: &'a Peer, reasons: &mut Vec<(&'a str, Option<&'a str>)>) -> String {
    let Peer { reach, why, cure, .. } = peer;
    let reason = (why.as_str(), cure.as_deref());
    let number = reasons.iter().position(|known| *known == reason).unwrap_or_else(|| {
        reasons.push(reason);
        reasons.len() - 1
    });
    let word = match reach {
        Reach::Yes | Reach::Try | Reach::Astray | Reach::No => reach.word(),
    };
    format!("{word} [{}]", number + 1)
}
