//! Which request runs next, and which no longer matter.

use std::collections::VecDeque;

use crate::protocol::{Lane, Request, RequestId};

/// A request that waits or runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Ticket {
    pub id: RequestId,
    pub lane: Option<Lane>,
    pub request: Request,
}

/// First come, first served, except that a newer request of a lane supersedes the older one.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: VecDeque<Ticket>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    id: RequestId,
    lane: Option<Lane>,
    cancelled: bool,
}

impl Queue {
    /// Adds a request; returns the ids of waiting ones that it supersedes. A running one is marked cancelled.
    pub fn push(&mut self, ticket: Ticket) -> Vec<RequestId> {
        let mut superseded = Vec::new();
        if ticket.lane.is_some() {
            self.waiting.retain(|waiting| {
                let keep = waiting.lane != ticket.lane;
                if !keep {
                    superseded.push(waiting.id);
                }
                keep
            });
            if let Some(running) = self.running.as_mut().filter(|running| running.lane == ticket.lane) {
                running.cancelled = true;
            }
        }
        self.waiting.push_back(ticket);
        superseded
    }

    /// Cancels a request; true if it was waiting (a running one notices by itself and says so).
    pub fn cancel(&mut self, id: RequestId) -> bool {
        if let Some(running) = self.running.as_mut().filter(|running| running.id == id) {
            running.cancelled = true;
        }
        let before = self.waiting.len();
        self.waiting.retain(|waiting| waiting.id != id);
        self.waiting.len() < before
    }

    /// Starts the next request, if none runs.
    pub fn start(&mut self) -> Option<Ticket> {
        if self.running.is_some() {
            return None;
        }
        let ticket = self.waiting.pop_front()?;
        self.running = Some(Running { id: ticket.id, lane: ticket.lane, cancelled: false });
        Some(ticket)
    }

    /// The request that starts next.
    pub fn next(&self) -> Option<&Request> {
        self.waiting.front().map(|ticket| &ticket.request)
    }

    /// Whether a request waits or runs.
    pub fn is_busy(&self) -> bool {
        self.running.is_some() || !self.waiting.is_empty()
    }

    /// The running request has ended.
    pub fn finish(&mut self) {
        self.running = None;
    }

    /// Whether the running request is no longer wanted.
    pub fn is_cancelled(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.cancelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(id: RequestId, lane: Option<Lane>) -> Ticket {
        Ticket { id, lane, request: Request::Token { text: " an".into() } }
    }

    #[test]
    fn a_newer_request_supersedes_the_waiting_and_the_running_one_of_its_lane() {
        let mut queue = Queue::default();
        queue.push(ticket(1, Some(Lane::Predict)));
        assert_eq!(queue.start().map(|t| t.id), Some(1));
        assert!(queue.push(ticket(2, Some(Lane::Predict))).is_empty());
        assert!(queue.is_cancelled());
        assert_eq!(queue.push(ticket(3, Some(Lane::Predict))), [2]);
        queue.finish();
        assert_eq!(queue.start().map(|t| t.id), Some(3));
        assert!(!queue.is_cancelled());
    }

    #[test]
    fn other_lanes_and_requests_without_one_wait_their_turn() {
        let mut queue = Queue::default();
        for (id, lane) in [(1, None), (2, None), (3, Some(Lane::Lens)), (4, Some(Lane::Predict))] {
            assert!(queue.push(ticket(id, lane)).is_empty());
        }
        for id in 1..=4 {
            assert_eq!(queue.start().map(|t| t.id), Some(id));
            assert!(!queue.is_cancelled());
            assert_eq!(queue.start(), None, "one request runs at a time");
            queue.finish();
        }
    }

    #[test]
    fn cancelling_drops_a_waiting_request_and_marks_a_running_one() {
        let mut queue = Queue::default();
        queue.push(ticket(1, None));
        queue.push(ticket(2, None));
        queue.start();
        assert!(queue.cancel(2));
        assert!(!queue.cancel(1));
        assert!(queue.is_cancelled());
        queue.finish();
        assert_eq!(queue.start(), None);
    }
}
