//! One connection, as the VMM has it: whose turn it is.
//!
//! A request is taken only when the answer to the one before has been sent. So answers come in the order of
//! requests, a client that does not read holds up nobody but itself, and a connection takes no more memory
//! than one request and one answer.

use crate::answer::{Answer, Greeting};
use crate::lines::Lines;
use crate::refusal::Refusal;
use crate::request::Request;

/// What the connection is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Requests are taken.
    Listens,
    /// One is carried out; it has this number.
    Works(Option<u64>),
    /// Nothing is taken any more: once all is sent the connection is over.
    Ends,
}

/// A connection without its socket.
#[derive(Debug)]
pub struct Connection {
    turn: Turn,
    lines: Lines,
    /// Nothing more will arrive.
    input_over: bool,
    output: Vec<u8>,
    sent: usize,
}

impl Connection {
    /// One that greets.
    pub fn new(greeting: &Greeting) -> Self {
        let output = greeting.print().into_bytes();
        Self { turn: Turn::Listens, lines: Lines::default(), input_over: false, output, sent: 0 }
    }

    /// One that is refused.
    pub fn refused(refusal: Refusal) -> Self {
        let output = Answer { id: None, outcome: Err(refusal) }.print().into_bytes();
        Self { turn: Turn::Ends, lines: Lines::default(), input_over: true, output, sent: 0 }
    }

    /// Whether something may be received now.
    pub fn wants_input(&mut self) -> bool {
        self.turn == Turn::Listens && !self.input_over && self.output().is_empty() && !self.lines.is_ready()
    }

    /// Something has arrived.
    pub fn received(&mut self, bytes: &[u8]) {
        if self.turn != Turn::Ends {
            self.lines.push(bytes);
        }
    }

    /// Nothing more will.
    pub fn input_is_over(&mut self) {
        self.input_over = true;
    }

    /// The next request. What is none is answered here.
    pub fn request(&mut self) -> Option<Request> {
        if self.turn != Turn::Listens || !self.output().is_empty() {
            return None;
        }
        let line = match self.lines.take() {
            Some(Ok(line)) => line,
            Some(Err(refusal)) => {
                self.end(Some(refusal));
                return None;
            }
            None if self.input_over => {
                let begun = !self.lines.is_empty();
                self.end(begun.then(Refusal::line_incomplete));
                return None;
            }
            None => return None,
        };
        match Request::parse(&line) {
            Ok(request) => {
                self.turn = Turn::Works(request.id);
                Some(request)
            }
            Err((id, refusal)) => {
                self.say(&Answer { id, outcome: Err(refusal) });
                None
            }
        }
    }

    /// What the request came to that was taken last.
    pub fn answer(&mut self, outcome: Result<crate::Done, Refusal>) {
        if let Turn::Works(id) = self.turn {
            self.turn = Turn::Listens;
            self.say(&Answer { id, outcome });
        }
    }

    /// Takes nothing more, and ends once all is sent: what was said before, and the refusal, if there is one.
    pub fn end(&mut self, refusal: Option<Refusal>) {
        if let Some(refusal) = refusal {
            self.say(&Answer { id: None, outcome: Err(refusal) });
        }
        self.turn = Turn::Ends;
        self.lines = Lines::default();
    }

    /// What is to be sent.
    pub fn output(&self) -> &[u8] {
        &self.output[self.sent..]
    }

    /// So many bytes of that were.
    pub fn sent(&mut self, bytes: usize) {
        self.sent = (self.sent + bytes).min(self.output.len());
        if self.sent == self.output.len() {
            (self.output, self.sent) = (Vec::new(), 0);
        }
    }

    /// Whether a request of it is carried out.
    pub fn works(&self) -> bool {
        matches!(self.turn, Turn::Works(_))
    }

    /// Whether nothing is left to be sent, and nothing will be.
    pub fn is_over(&self) -> bool {
        self.turn == Turn::Ends && self.output().is_empty()
    }

    fn say(&mut self, answer: &Answer) {
        self.output.extend_from_slice(answer.print().as_bytes());
    }
}

#[cfg(test)]
#[path = "connection_test.rs"]
mod tests;
