//! Which images of which names were followed.
//!
//! What runs follows the image that the graph calls current, once for each time that another one becomes it: a replacement that
//! fails is not begun again by the commit that strikes out its trial.

use alloc::string::String;
use alloc::vec::Vec;

use object_store::Oid;

/// The image of each name that was followed last.
#[derive(Debug, Default)]
pub struct Followed {
    images: Vec<(String, Oid)>,
}

impl Followed {
    /// Whether the current image of a name is another one than the last time that this was asked.
    pub fn is_news(&mut self, name: &str, current: Oid) -> bool {
        match self.images.iter_mut().find(|(known, _)| known == name) {
            Some((_, image)) => core::mem::replace(image, current) != current,
            None => {
                self.images.push((name.into(), current));
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_news_once_until_another_one_was_current() {
        let mut followed = Followed::default();
        let (first, second) = (Oid::new(1), Oid::new(2));
        assert!(followed.is_news("counter", first));
        assert!(!followed.is_news("counter", first), "a replacement that failed would be begun for ever");
        assert!(followed.is_news("counter", second));
        assert!(followed.is_news("counter", first), "an undo brings it back");
        assert!(followed.is_news("memory", first), "names have images of their own");
    }
}
