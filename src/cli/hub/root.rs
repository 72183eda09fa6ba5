//! Where this machine keeps models, and what else the environment says about hubs.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A variable of the environment; empty is as good as not set.
pub fn said(name: &str) -> Option<String> {
    let text = std::env::var(name).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The folder for everything that is kept.
///
/// # Errors
/// [`Error::BadOption`] where there is none, not even a home.
pub fn find() -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|text| !text.is_empty()).map(PathBuf::from);
    choose(variable).ok_or_else(|| Error::BadOption {
        option: "PEARTREE_CACHE",
        problem: "must name a folder to keep models in: there is no home folder to put one into.".into(),
    })
}

fn choose(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    // where caches go by the desktop's rules, which count whole paths only; then where they go without; then Windows
    let caches = || variable("XDG_CACHE_HOME").filter(|path| path.is_absolute());
    let home = || variable("HOME").map(|home| home.join(".cache"));
    let named = |base: &Path| base.join("peartree");
    variable("PEARTREE_CACHE")
        .or_else(|| caches().or_else(home).or_else(|| variable("LOCALAPPDATA")).map(|base| named(&base)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_variable_counts() {
        let chosen = |set: &[(&str, &str)]| {
            choose(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| PathBuf::from(value)))
        };
        let [own, caches, home] = [("PEARTREE_CACHE", "/p"), ("XDG_CACHE_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(chosen(&[home, caches, own]), Some("/p".into()));
        assert_eq!(chosen(&[home, caches]), Some("/x/peartree".into()));
        assert_eq!(chosen(&[home]), Some("/h/.cache/peartree".into()));
        assert_eq!(chosen(&[home, ("XDG_CACHE_HOME", "x")]), Some("/h/.cache/peartree".into()));
        assert_eq!(chosen(&[]), None);
    }
}
