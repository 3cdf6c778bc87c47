//! Futures of one kind that run side by side, in room that is kept for the next ones: those of fred
//! are some 7 KB large, and a collection that boxes each would allocate that for every command and
//! move it three times.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::future::{Future, MaybeDone, maybe_done};

/// In which order outputs are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// In that in which the futures came.
    Arrival,
    /// As they come.
    Completion,
}

/// Futures that run.
pub(super) struct Slots<F: Future> {
    order: Order,
    /// In the order of their arrival.
    running: VecDeque<Slot<F>>,
    free: Vec<Slot<F>>,
}

type Slot<F> = Pin<Box<MaybeDone<F>>>;

impl<F: Future> Slots<F> {
    /// None yet.
    pub(super) fn new(order: Order) -> Self {
        Self { order, running: VecDeque::new(), free: Vec::new() }
    }

    /// How many run, or wait to be taken.
    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    /// Runs one more, from the next [`next`](Self::next) on.
    pub(super) fn push(&mut self, future: F) {
        let slot = match self.free.pop() {
            Some(mut slot) => {
                slot.set(maybe_done(future));
                slot
            }
            None => Box::pin(maybe_done(future)),
        };
        self.running.push_back(slot);
    }

    /// Runs all of them until an output can be taken; for ever while there are none.
    pub(super) async fn next(&mut self) -> F::Output {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<F::Output> {
        let in_order = self.order == Order::Arrival;
        // What is done is taken before anything behind it is polled: a command is sent when it is
        // polled first, and those in order must not be sent before one that has to be sent again.
        let done = self.running.iter_mut().enumerate().find_map(|(index, slot)| {
            let is_done = slot.as_mut().poll(cx).is_ready();
            (is_done && (index == 0 || !in_order)).then_some(index)
        });
        let Some(mut slot) = done.and_then(|index| self.running.remove(index)) else {
            return Poll::Pending;
        };
        let output = slot.as_mut().take_output().expect("invariant: it is done");
        self.free.push(slot);
        Poll::Ready(output)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::sync::oneshot;

    use super::*;

    /// Futures that end when they are told to.
    fn slots(order: Order) -> (Vec<oneshot::Sender<u8>>, Slots<oneshot::Receiver<u8>>) {
        let mut slots = Slots::new(order);
        let (senders, receivers): (_, Vec<_>) = (0..3).map(|_| oneshot::channel()).unzip();
        receivers.into_iter().for_each(|receiver| slots.push(receiver));
        (senders, slots)
    }

    fn taken(slots: &mut Slots<oneshot::Receiver<u8>>) -> Option<u8> {
        slots.next().now_or_never().map(|output| output.expect("told"))
    }

    #[test]
    fn outputs_are_taken_in_the_order_of_arrival() {
        let (mut senders, mut slots) = slots(Order::Arrival);
        senders.pop().unwrap().send(2).unwrap();
        assert_eq!(taken(&mut slots), None);
        assert_eq!(slots.len(), 3);
        senders.remove(0).send(0).unwrap();
        assert_eq!(taken(&mut slots), Some(0));
        assert_eq!(taken(&mut slots), None);
        senders.remove(0).send(1).unwrap();
        assert_eq!((taken(&mut slots), taken(&mut slots)), (Some(1), Some(2)));
        assert_eq!((taken(&mut slots), slots.len()), (None, 0));
    }

    #[test]
    fn what_is_done_is_taken_before_a_later_one_is_polled() {
        let polled = std::cell::Cell::new(false);
        let mut slots = Slots::new(Order::Arrival);
        for number in 0..2 {
            let polled = &polled;
            slots.push(async move {
                polled.set(number == 1);
                number
            });
        }
        assert_eq!((slots.next().now_or_never(), polled.get()), (Some(0), false));
        assert_eq!((slots.next().now_or_never(), polled.get()), (Some(1), true));
    }

    #[test]
    fn outputs_are_taken_as_they_come() {
        let (mut senders, mut slots) = slots(Order::Completion);
        senders.pop().unwrap().send(2).unwrap();
        assert_eq!((taken(&mut slots), taken(&mut slots)), (Some(2), None));
        assert_eq!(slots.len(), 2);
    }

    #[test]
    fn room_is_used_again() {
        let (mut senders, mut slots) = slots(Order::Arrival);
        let room = |slot: &Slot<_>| std::ptr::from_ref(&**slot);
        let first = room(&slots.running[0]);
        senders.remove(0).send(7).unwrap();
        assert_eq!(taken(&mut slots), Some(7));
        let (_sender, receiver) = oneshot::channel();
        slots.push(receiver);
        assert_eq!(room(&slots.running[2]), first);
        assert_eq!((slots.len(), slots.free.len()), (3, 0));
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_any_of_them() {
        let (mut senders, mut slots) = slots(Order::Completion);
        let told = async {
            tokio::task::yield_now().await;
            senders.remove(1).send(1).unwrap();
        };
        let (output, ()) = tokio::join!(slots.next(), told);
        assert_eq!(output, Ok(1));
    }
}
