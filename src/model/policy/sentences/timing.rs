//! Reading aloud when a group gets what it may have.

use crate::model::Class;
use crate::model::policy::{Group, Scoped};

/// The sentences on cadences, windows, rates and staleness.
pub(super) fn sentences(group: &Group) -> Vec<String> {
    let (name, timing) = (&group.name, &group.timing);
    let mut sentences =
        each(&timing.cadence, "everything", |what, cadence| format!("{name} get {what} only {}.", cadence.in_words()));
    if let Some(windows) = &timing.windows {
        sentences.push(format!("{name} get anything new only in these hours: {}.", windows.in_words()));
    }
    sentences
        .extend(each(&timing.rate, "anything new", |what, rate| format!("Of {name}, {} get {what}.", rate.in_words())));
    sentences.extend(each(&timing.staleness, "anything", |what, staleness| {
        let after = staleness.after.in_words();
        let relax = if staleness.relaxes {
            "; then deferral, cadence and ring yield to the last release that is fully baked"
        } else {
            ""
        };
        format!("An alert is raised when {name} have waited for newer {what} for {after}{relax}.")
    }));
    sentences
}

/// One sentence for both classes where they have the same value, else one each; then one for each product.
fn each<T: PartialEq>(scoped: &Scoped<T>, both: &str, say: impl Fn(&str, &T) -> String) -> Vec<String> {
    let [one, two] = Class::ALL.map(|class| scoped.for_class(class));
    let mut sentences = Vec::new();
    if one == two {
        sentences.extend(one.map(|value| say(both, value)));
    } else {
        let classes = Class::ALL.into_iter().zip([one, two]);
        sentences.extend(classes.filter_map(|(class, value)| Some(say(class.as_str(), value?))));
    }
    sentences.extend(scoped.products().iter().map(|(product, value)| say(product.as_str(), value)));
    sentences
}
