//! What is printed, word by word.

mod story;
mod timeline;
mod verdict;
