//! What a tenant sees of the engine's answers: their own objects, under their own names, without
//! the broker's marks and without paths of the host.
//!
//! Members are changed where the Engine API has them. An answer of another shape is not shown.

mod containers;
mod events;
mod filter;
mod images;
mod json;
mod networks;
mod system;
mod volumes;

use cofferdam_action::name::PREDEFINED_NETWORKS;
use serde_json::Value;

pub(super) use events::EventFilter;
pub(super) use filter::NameFilter;
pub(super) use system::Counts;

use super::owner::Kind;
use super::sight::Sight;
use json::text_of;

/// How the body of a successful answer is shown.
#[derive(Debug)]
pub enum View {
    /// As it comes; also where there is none.
    Pass,
    /// One JSON document, read whole.
    Json(JsonView),
    /// JSON documents, one a line, as they come.
    Lines(LinesView),
}

/// How a document is shown.
#[derive(Debug)]
pub struct JsonView {
    sight: Sight,
    shape: Shape,
}

/// What a document is.
#[derive(Debug)]
pub(super) enum Shape {
    /// Nothing in it is to be changed; the broker reads an id in it.
    Same,
    /// A list of containers, the newest first: those with such a name, at most so many.
    Containers {
        names: NameFilter,
        limit: Option<usize>,
    },
    Container,
    Networks(NameFilter),
    Network,
    Volumes(NameFilter),
    Volume,
    Images,
    Image,
    History,
    ImageRemoval,
    DiskUsage,
    Info(Option<Counts>),
    Version,
}

/// How lines are shown.
#[derive(Debug)]
pub struct LinesView {
    sight: Sight,
    lines: Lines,
}

/// What a line is.
#[derive(Debug)]
pub(super) enum Lines {
    Events(EventFilter),
    Stats,
    Wait,
}

/// An answer that is not what the Engine API says, so that it cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine's answer is not the JSON that its API has for it")]
pub struct ViewError;

impl View {
    pub(super) fn json(sight: Sight, shape: Shape) -> Self {
        View::Json(JsonView { sight, shape })
    }

    pub(super) fn lines(sight: Sight, lines: Lines) -> Self {
        View::Lines(LinesView { sight, lines })
    }
}

impl JsonView {
    /// Whether it has lists of everybody's, whose elements [`JsonView::keeps`] tells apart.
    pub(crate) const fn is_of_all(&self) -> bool {
        matches!(
            self.shape,
            Shape::Containers { .. }
                | Shape::Networks(_)
                | Shape::Volumes(_)
                | Shape::Images
                | Shape::DiskUsage
        )
    }

    /// Whether an element of a list may be in what is shown; `member` is the list. What is not kept
    /// makes no difference to [`JsonView::apply`].
    pub(crate) fn keeps(&self, member: &str, element: &Value) -> bool {
        let sight = &self.sight;
        let sees = |kind, id| sight.sees(kind, text_of(element, id));
        match (&self.shape, member) {
            (Shape::Containers { .. }, _) | (Shape::DiskUsage, "Containers") => {
                sees(Kind::Container, "Id")
            }
            (Shape::Networks(_), _) => {
                PREDEFINED_NETWORKS.contains(&text_of(element, "Name")) || sees(Kind::Network, "Id")
            }
            (Shape::Volumes(_) | Shape::DiskUsage, "Volumes") => sees(Kind::Volume, "Name"),
            (Shape::Images, _) | (Shape::DiskUsage, "Images") => images::is_seen(element, sight),
            (Shape::Volumes(_) | Shape::DiskUsage, _) => sight.sees_all,
            _ => true,
        }
    }

    /// The document as the tenant may see it.
    ///
    /// # Errors
    /// For what is not JSON of the expected shape.
    pub fn apply(&self, body: &[u8]) -> Result<Vec<u8>, ViewError> {
        if matches!(self.shape, Shape::Same) {
            return Ok(body.to_vec());
        }
        let value = serde_json::from_slice(body).map_err(|_| ViewError)?;
        let shown = self.show(value).ok_or(ViewError)?;
        serde_json::to_vec(&shown).map_err(|_| ViewError)
    }

    fn show(&self, mut value: Value) -> Option<Value> {
        let sight = &self.sight;
        match &self.shape {
            Shape::Same => {}
            Shape::Containers { names, limit } => {
                containers::list(value.as_array_mut()?, names, *limit, sight);
            }
            Shape::Container => containers::whole(value.as_object_mut()?, sight),
            Shape::Networks(names) => networks::list(value.as_array_mut()?, names, sight),
            Shape::Network => networks::whole(value.as_object_mut()?, sight),
            Shape::Volumes(names) => volumes::list(value.as_object_mut()?, names, sight)?,
            Shape::Volume => volumes::whole(value.as_object_mut()?, sight),
            Shape::Images => images::list(value.as_array_mut()?, sight),
            Shape::Image => images::whole(value.as_object_mut()?, sight),
            Shape::History => images::history(value.as_array_mut()?, sight),
            Shape::ImageRemoval => images::removal(value.as_array_mut()?, sight),
            Shape::DiskUsage => system::disk_usage(value.as_object_mut()?, sight)?,
            Shape::Info(counts) => value = system::info(value.as_object()?, counts.as_ref()),
            Shape::Version => system::version(value.as_object_mut()?),
        }
        Some(value)
    }
}

impl LinesView {
    /// One line as the tenant may see it, without its end; nothing where it is not for them, or is
    /// not JSON.
    pub fn apply(&mut self, line: &[u8]) -> Option<Vec<u8>> {
        let mut value = serde_json::from_slice(line).ok()?;
        match &self.lines {
            Lines::Events(filter) => events::event(&mut value, filter, &self.sight)?,
            Lines::Stats => containers::stats(&mut value, &self.sight)?,
            Lines::Wait => containers::waited(&mut value, &self.sight)?,
        }
        serde_json::to_vec(&value).ok()
    }
}

#[cfg(test)]
mod tests;
