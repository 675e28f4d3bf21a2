//! Storms: of each seed a plain scenario, an *episode*, and of an episode that fails the shortest
//! one that still does.
//!
//! A storm file says who acts (actors), in which moves, how often (weights), and how it is to end.
//! [`episode`] interleaves them as the seed decides; what comes out is carried out, judged and
//! replayed as any other scenario. Nothing here runs anything: [`shrink`] asks whoever can.

mod episode;
mod error;
mod interleaving;
mod seeds;
mod shipped;
mod shrink;
mod swarm;

pub use episode::episode;
pub use error::StormError;
pub use interleaving::Interleaving;
pub use seeds::{BadShard, Shard, resets, seeds};
pub use shipped::SHIPPED;
pub use shrink::{MOST_CANDIDATES, Shrunk, shrink};
