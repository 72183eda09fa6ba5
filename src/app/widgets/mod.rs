//! Small pieces that several views are made of.

pub mod complete;
pub mod copy_link;
pub mod cursor;
pub mod device;
pub mod failure;
pub mod read;
pub mod scrolls;
pub mod section;
pub mod seen;
pub mod select;
pub mod shown;
pub mod sweep;
pub mod tap;
pub mod theme;
pub mod token;
pub mod typed;
pub mod width;
