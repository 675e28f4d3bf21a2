//! How sharp the checker is: for each invariant journals that hold it and journals that break
//! it, in one way each.

mod any;
mod bounded;
mod end;
mod i1;
mod i2;
mod i3;
mod importing;
mod kernel;
mod losses;
mod marks;
mod merged;
mod outside;
mod second;
#[path = "../storm/mod.rs"]
mod storm;
mod story;
