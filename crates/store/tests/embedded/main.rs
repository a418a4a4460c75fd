//! What the embedded engine does beside its ports: its directory, its files, and faults of the disk.

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod containers;
#[cfg(test)]
mod data;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod first_write;
#[cfg(test)]
mod given;
#[cfg(test)]
mod indexes;
#[cfg(test)]
mod opening;
