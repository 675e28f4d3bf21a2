//! What a person sees of a run, made from its journal alone: a timeline while it goes on, a
//! verdict at its end. And the way back in from a file: [`jsonl`].

mod fold;
mod happening;
pub mod jsonl;
mod names;
mod style;
mod time;
pub mod timeline;
pub mod verdict;

pub use jsonl::Damage;
pub use style::Style;
pub use timeline::Timeline;
