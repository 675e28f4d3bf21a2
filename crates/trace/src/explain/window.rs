//! Windows, and what of each was away at a moment.

use barkeep_journal::{DeviceAddress, Event, Kind, Phase};
use barkeep_timeline::{Outage, Way};

/// Windows that are remembered.
const MOST: usize = 1024;

/// What a way is at the moment.
#[derive(Clone, Copy, Debug)]
pub(super) enum Life {
    /// Never seen there up to then.
    Never,
    /// Since this event and time.
    There { since: Option<(u64, u64)> },
    /// It is in an outage.
    Away(Outage),
}

#[derive(Clone, Debug)]
pub(super) struct Window {
    pub device: DeviceAddress,
    pub bar: u8,
    pub address: u64,
    pub size: u64,
    /// By way: there since.
    there: [Option<(u64, u64)>; Way::ALL.len()],
    /// By way: the outage that the moment is in.
    away: [Option<Outage>; Way::ALL.len()],
    /// By way: the last that was seen not to work although it was there.
    contrary: [Option<Event>; Way::ALL.len()],
    /// Taken down for good, or moved.
    last_named: u64,
}

impl Window {
    pub fn life(&self, way: Way) -> Life {
        match (self.away[way as usize], self.there[way as usize]) {
            (Some(outage), _) => Life::Away(outage),
            (None, None) => Life::Never,
            (None, since) => Life::There { since },
        }
    }

    pub fn contrary(&self, way: Way) -> Option<&Event> {
        self.contrary[way as usize].as_ref()
    }

    fn holds(&self, address: u64) -> bool {
        address.checked_sub(self.address).is_some_and(|offset| offset < self.size)
    }
}

pub(super) struct Windows {
    at: u64,
    all: Vec<Window>,
}

impl Windows {
    pub fn new(at: u64) -> Self {
        Self { at, all: Vec::new() }
    }

    /// Windows that hold an address; those that were there last.
    pub fn holding(&self, address: u64) -> Vec<Window> {
        let mut all: Vec<_> = self.all.iter().filter(|window| window.holds(address)).cloned().collect();
        all.sort_by_key(|window| std::cmp::Reverse(window.last_named));
        all.truncate(1);
        all
    }

    /// Windows of a device, or of a BAR of it: where they were last.
    pub fn of(&self, device: DeviceAddress, bar: Option<u8>) -> Vec<Window> {
        let of_it = |w: &&Window| w.device == device && bar.is_none_or(|bar| w.bar == bar);
        let mut all: Vec<_> = self.all.iter().filter(of_it).cloned().collect();
        all.sort_by_key(|window| (window.bar, window.address));
        // Those that have moved away are history, unless nothing else is left.
        let is_now = |w: &Window| w.away.iter().any(Option::is_some) || w.there.iter().any(Option::is_some);
        if all.iter().any(is_now) {
            all.retain(is_now);
        }
        all.truncate(8);
        all
    }

    /// The next event.
    pub fn event(&mut self, event: &Event) {
        if event.seq > self.at {
            return;
        }
        match event.kind {
            Kind::P2pMap | Kind::SlotAdd | Kind::P2pUnmap | Kind::SlotRemove | Kind::Outage => {
                self.named(event)
            }
            Kind::NotLanded => self.contrary(event),
            Kind::Faulted => self.contrary(event),
            _ => {}
        }
    }

    fn named(&mut self, event: &Event) {
        let (Some(device), Some(bar), Some(address)) = (event.device, event.bar, event.address) else {
            return;
        };
        let place = self.all.iter().position(|w| (w.device, w.bar, w.address) == (device, bar, address));
        let place = match place {
            Some(place) => place,
            None if self.all.len() == MOST => return,
            None => {
                let (size, none) = (event.size.unwrap_or(0), Default::default());
                let (there, away, contrary) = ([None; 2], [None; 2], none);
                self.all.push(Window { device, bar, address, size, there, away, contrary, last_named: 0 });
                self.all.len() - 1
            }
        };
        let window = &mut self.all[place];
        window.last_named = event.seq;
        let here = Some((event.seq, event.time_ns));
        let done = event.result == Some(0);
        match (event.kind, event.phase) {
            (Kind::P2pMap, Phase::End) if done => window.is_there(Way::P2p, here),
            (Kind::P2pUnmap, Phase::End) if done => window.is_there(Way::P2p, None),
            (Kind::Outage, Phase::End) => window.is_there(Way::Cpu, here),
            (Kind::SlotRemove, Phase::End) if done => window.is_there(Way::Cpu, None),
            _ => {}
        }
    }

    /// Something was seen not to get through.
    fn contrary(&mut self, event: &Event) {
        let (way, window) = match event.kind {
            Kind::Faulted => {
                let at = event.address.unwrap_or(0);
                (Way::P2p, self.all.iter_mut().find(|window| window.holds(at)))
            }
            _ => {
                let way = if event.text == "dma" { Way::P2p } else { Way::Cpu };
                let of_it = |w: &&mut Window| Some(w.device) == event.device && Some(w.bar) == event.bar;
                (way, self.all.iter_mut().find(of_it))
            }
        };
        if let Some(window) = window
            && let Some((_, since)) = window.there[way as usize]
            && event.time_ns >= since
        {
            window.contrary[way as usize] = Some(event.clone());
        }
    }

    /// An outage is over, or never will be.
    pub fn outage_over(&mut self, outage: Outage) {
        let inside = outage.taken.seq <= self.at && outage.end.is_none_or(|end| end.seq > self.at);
        let of_it =
            |w: &&mut Window| (w.device, w.bar, w.address) == (outage.device, outage.bar, outage.address);
        if inside && let Some(window) = self.all.iter_mut().find(of_it) {
            window.away[outage.way as usize] = Some(outage);
        }
    }
}

impl Window {
    fn is_there(&mut self, way: Way, since: Option<(u64, u64)>) {
        self.there[way as usize] = since;
        self.contrary[way as usize] = None;
    }
}
