//! Gets models from hubs and other sites, keeps them on this device, and finds them again.
//!
//! What is kept are the source's own files, byte for byte, so that their hashes can be checked at any time; they are
//! converted while they are loaded. A folder is a kept model once its manifest is there, and the manifest is written
//! last: whatever breaks before, the folder is a download to go on with.
//!
//! Nothing here knows a browser. The network, the files and the clock stand behind [`wire::Wire`],
//! [`storage::Storage`] and [`storage::Device`].

pub mod address; // ids, revisions, addresses
pub mod wire; // what is asked of servers, and what they answer
pub mod storage; // where bytes live
pub mod memory; // … in memory
pub mod blocks; // … as entries of a cache
pub mod spans; // which bytes of a file there are
pub mod manifest; // what is written down of a whole model
pub mod journal; // what is written down of half a one
pub mod watch; // who hears how far it is
pub mod line; // requests that try again
pub mod transfer; // one large file on its way
pub mod verify; // its hash
pub mod remote; // what a source says before the weights
pub mod fit; // whether a model fits
pub mod catalog; // the GPT-2s that most look for
pub mod fetch; // from a source to a kept model
mod job; // … downloaded
pub mod look; // the headers of weights
pub mod describe; // what a model is, without keeping it
pub mod survey; // … and all that is wrong with it
pub mod kept; // list, delete, check, build
pub mod direct; // from the page's own site, not kept

use line::Terms;

/// A network, a place for files, a device, and how to use them.
pub struct Store<W, S, D> {
    pub wire: W,
    pub storage: S,
    pub device: D,
    pub terms: Terms,
}
