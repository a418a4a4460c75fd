//! How many connections each network has: one client cannot take all that there are.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tenantry_domain::rate_limit::ClientNetwork;

/// The open connections of every network that has any. There are never more entries than connections.
pub struct NetworkSlots {
    max: usize,
    open: Mutex<HashMap<ClientNetwork, usize>>,
}

/// The slot of one connection.
pub struct NetworkSlot {
    slots: Arc<NetworkSlots>,
    network: ClientNetwork,
}

impl NetworkSlots {
    /// Slots for `max` connections of each network.
    pub fn new(max: usize) -> Self {
        Self { max, open: Mutex::default() }
    }

    /// A slot for `network`; `None` if it has as many as it may.
    pub fn take(self: &Arc<Self>, network: ClientNetwork) -> Option<NetworkSlot> {
        let mut open = self.lock();
        let count = open.entry(network).or_default();
        // With a limit of 0 the entry would stay.
        if *count >= self.max.max(1) {
            return None;
        }
        *count += 1;
        Some(NetworkSlot { slots: Arc::clone(self), network })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ClientNetwork, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for NetworkSlot {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.slots.lock().entry(self.network) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_slots_are_bounded_for_each_and_given_back() {
        let slots = Arc::new(NetworkSlots::new(2));
        let network = |text: &str| ClientNetwork::of(text.parse().unwrap());
        let first = slots.take(network("2001:db8::1")).unwrap();
        let second = slots.take(network("2001:db8::2")).unwrap();
        assert!(slots.take(network("2001:db8::3")).is_none());
        assert!(slots.take(network("2001:db8:0:1::1")).is_some());
        drop(first);
        assert!(slots.take(network("2001:db8::3")).is_some());
        drop(second);
        assert!(slots.lock().is_empty());
    }
}
