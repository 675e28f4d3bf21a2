//! A storm's record: how it is judged, merged, kept, and told in every format.

mod example;
mod file;
mod judged;
mod junit;
mod ktap;
mod merged;
mod pages;
#[allow(dead_code, reason = "what pages need, too")]
#[path = "../pages/story.rs"]
mod story;
mod witness;
