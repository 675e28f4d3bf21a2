//! Which track a slice is on.

use barkeep_journal::DeviceAddress;
use barkeep_timeline::{Outage, Party, Slice, Way};
use std::collections::BTreeMap;

/// The track that all others are under.
pub(super) const ROOT: u64 = 1;
/// Numbers of tracks that come as they are needed.
const FIRST: u64 = 1000;
/// Tracks of one lane at the most.
const ABREAST: usize = 64;

/// The track of a lane.
pub(super) fn of_lane(party: Party) -> u64 {
    10 + party as u64
}

/// The counter of a way.
pub(super) fn of_way(way: Way) -> u64 {
    30 + way as u64
}

/// Tracks so far.
#[derive(Default)]
pub(super) struct Tracks {
    count: u64,
    /// Of each lane, and of what everything else happens inside of: by what is on each of them.
    slices: BTreeMap<(Party, bool), Vec<Lane>>,
    outages: BTreeMap<(Way, DeviceAddress, u8, u64), u64>,
    states: BTreeMap<DeviceAddress, u64>,
}

/// A track, and the stretch at its end that is taken. Slices come as they end, so one that is told later
/// may have begun earlier.
struct Lane {
    track: u64,
    taken: (u64, u64),
}

impl Tracks {
    /// A track on which nothing else is meanwhile, and whether it is new.
    pub fn place(&mut self, slice: &Slice, frame: bool) -> (u64, bool) {
        let (begin, end) = (slice.begin_ns, slice.end_ns.unwrap_or(u64::MAX));
        let lanes = self.slices.entry((slice.party, frame)).or_default();
        let full = lanes.len() == ABREAST;
        // After all that is on it; or around all of the stretch at its end, which then nests.
        let free = lanes.iter_mut().find(|lane| begin >= lane.taken.1);
        if let Some(lane) = free {
            lane.taken = (begin, end);
            return (lane.track, false);
        }
        if full && let Some(last) = lanes.last_mut() {
            last.taken = (last.taken.0.min(begin), last.taken.1.max(end));
            return (last.track, false);
        }
        let track = FIRST + self.count;
        self.count += 1;
        lanes.push(Lane { track, taken: (begin, end) });
        (track, true)
    }

    /// The track of a window's way. Its outages come one after the other.
    pub fn of_outage(&mut self, outage: &Outage) -> (u64, bool) {
        let Outage { way, device, bar, address, .. } = *outage;
        known_or_new(&mut self.count, &mut self.outages, (way, device, bar, address))
    }

    /// The counter of a device.
    pub fn of_state(&mut self, device: DeviceAddress) -> (u64, bool) {
        known_or_new(&mut self.count, &mut self.states, device)
    }
}

fn known_or_new<K: Ord>(count: &mut u64, tracks: &mut BTreeMap<K, u64>, key: K) -> (u64, bool) {
    if let Some(track) = tracks.get(&key) {
        return (*track, false);
    }
    let track = FIRST + *count;
    *count += 1;
    tracks.insert(key, track);
    (track, true)
}
