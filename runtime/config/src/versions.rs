//! Comparison of version bounds and type patterns.

use reactor_core::subscription::{Segment, TypePattern, VersionBound};

/// A version that meets all bounds of all lists, if one exists.
pub(super) fn some_version(lists: &[&[VersionBound]]) -> Option<u32> {
    let bounds = || lists.iter().flat_map(|list| list.iter());
    // If any version meets them, so does version 1 or one next to a bound.
    let near = bounds().flat_map(|bound| {
        let number = match *bound {
            VersionBound::Equal(n)
            | VersionBound::AtLeast(n)
            | VersionBound::Above(n)
            | VersionBound::AtMost(n)
            | VersionBound::Below(n) => n,
        };
        [number, number.saturating_add(1), number.saturating_sub(1)]
    });
    [1].into_iter().chain(near).find(|version| bounds().all(|bound| bound.holds(*version)))
}

/// Whether both can match the same event.
pub(super) fn overlap(left: &TypePattern, right: &TypePattern) -> bool {
    some_version(&[&left.versions, &right.versions]).is_some() && segments_overlap(&left.segments, &right.segments)
}

fn segments_overlap(left: &[Segment], right: &[Segment]) -> bool {
    match (left, right) {
        ([], []) => true,
        ([Segment::Rest, ..], [_, ..]) | ([_, ..], [Segment::Rest, ..]) => true,
        ([Segment::Exact(one), left @ ..], [Segment::Exact(other), right @ ..]) => {
            one == other && segments_overlap(left, right)
        }
        ([_, left @ ..], [_, right @ ..]) => segments_overlap(left, right),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> TypePattern {
        TypePattern::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn overlapping_patterns() {
        for (left, right, expected) in [
            ("a.b", "a.b", true),
            ("a.b", "a.c", false),
            ("a.*", "*.b", true),
            ("a.*", "a.b.c", false),
            ("a.**", "*.b.c", true),
            ("a.**", "a", false),
            ("a.*.**", "a.b", false),
            ("**", "a", true),
            ("a@1", "a@2", false),
            ("a@>=2", "a@<3", true),
            ("a@>2", "a@<3", false),
            ("a@0", "a", true),
        ] {
            assert_eq!(overlap(&pattern(left), &pattern(right)), expected, "{left} and {right}");
            assert_eq!(overlap(&pattern(right), &pattern(left)), expected, "{right} and {left}");
        }
    }
}
