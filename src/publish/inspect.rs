//! The gates over a release's staged bytes: all findings at once, or what they saw.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::command::{CommandOutcome, GateCommands, StagedBody, Subject};
use crate::gate::{
    CoveredBody, Finding, NewSignature, ScanLimits, Scanned, SignatureFinding, Signatures, authenticode_digest_of,
    check_signatures,
};
use crate::model::policy::Policy;
use crate::model::{
    Authenticode, Class, GateFinding, Inspection, SignatureRule, Snapshot, TargetName, TrustedKey, VerifiedSignature,
};
use crate::share::{NameProblem, name_problems};

/// How many releases are looked through at once: each may hold unpacked members in memory.
const AT_ONCE: usize = 2;
/// The most notes that are kept with a release.
const NOTES_MAX: usize = 40;

/// How staged bytes are looked at.
#[derive(Clone, Default)]
pub struct GateOptions {
    /// How far archives are looked into.
    pub scan: ScanLimits,
    /// Whether an intelligence product may hold archives of a kind that is not opened.
    pub is_opaque_allowed: bool,
    /// The organisation's own commands.
    pub commands: Option<Arc<dyn GateCommands>>,
}

/// The gates that look at bytes.
pub(super) struct Gates {
    options: GateOptions,
    turns: Semaphore,
}

/// What reading the bytes brought to light.
struct Read {
    subject: Subject,
    scanned: Scanned,
    verified: Vec<VerifiedSignature>,
    unsigned: Vec<SignatureFinding>,
    authenticode: Vec<Authenticode>,
    notes: Vec<GateFinding>,
}

impl Gates {
    pub(super) fn new(options: GateOptions) -> Self {
        Self { options, turns: Semaphore::new(AT_ONCE) }
    }

    /// Looks at a release. `findings` are those that are known already; every gate adds its own.
    pub(super) async fn inspect(
        &self,
        subject: Subject,
        manifest: &crate::model::ReleaseManifest,
        signatures: Vec<NewSignature>,
        (snapshot, now): (&Snapshot, Timestamp),
        findings: &mut Vec<Finding>,
    ) -> Inspection {
        // Closed never, so a turn always comes.
        let _turn = self.turns.acquire().await;
        let are_bytes_as_declared = findings.iter().all(|finding| finding.gate() == "version");
        let policy = snapshot.policy_at(now).and_then(|applied| applied.policy().ok());
        let rule = policy.as_ref().map_or(SignatureRule::Optional, |policy| policy.signature(subject.class));
        let (keys, text, limits) = (snapshot.trusted_keys().to_vec(), manifest.text(), self.options.scan);
        let read = spawn_blocking(move || read(subject, &signatures, (&keys, rule), &text, &limits)).await;
        let Read { subject, scanned, verified, unsigned, mut authenticode, notes } =
            read.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        findings.extend(unsigned.into_iter().map(Finding::Signature));
        let (signatures, bodies) = (verified, scanned.bodies);
        let mut inspection = Inspection { signatures, bodies, notes, ..Inspection::default() };
        self.weigh(subject.class, scanned, &mut inspection, findings);
        names(snapshot, policy.map(|policy| &**policy), manifest, now, &mut inspection, findings);
        // A command is not asked about bytes that nobody meant.
        if let Some(commands) = self.options.commands.as_ref().filter(|_| are_bytes_as_declared) {
            let CommandOutcome { command_ms, findings: said, is_authenticode_verified } = commands.run(&subject).await;
            if is_authenticode_verified {
                authenticode.iter_mut().for_each(|signed| signed.verified = Some(true));
            }
            inspection.command_ms = command_ms;
            findings.extend(said);
        }
        inspection.authenticode = authenticode;
        inspection.notes.truncate(NOTES_MAX);
        inspection
    }

    /// Kernel-mode content, and what cannot be looked through, stops an intelligence product and is noted of others.
    fn weigh(&self, class: Class, scanned: Scanned, inspection: &mut Inspection, findings: &mut Vec<Finding>) {
        let Scanned { kernel_mode, kernel_count, unread, unread_count, .. } = scanned;
        let more_kernel = kernel_count - kernel_mode.len() as u64;
        let more_unread = unread_count - unread.len() as u64;
        let is_strict = class == Class::Intelligence;
        let is_let_pass = |is_opaque: bool| !is_strict || is_opaque && self.options.is_opaque_allowed;
        let (noted, refused): (Vec<_>, Vec<_>) = unread.into_iter().partition(|one| is_let_pass(one.is_opaque));
        inspection.notes.extend(noted.into_iter().map(|one| Finding::from(one).record()));
        // Those that are not listed may be of any kind.
        let more = (more_unread > 0).then_some(Finding::MoreArchives { count: more_unread });
        if is_strict {
            findings.extend(kernel_mode.into_iter().map(Finding::from));
            findings.extend((more_kernel > 0).then_some(Finding::MoreKernelMode { count: more_kernel }));
            findings.extend(refused.into_iter().map(Finding::from));
            findings.extend(more);
        } else {
            inspection.kernel_mode = kernel_mode;
            let more_kernel = (more_kernel > 0).then_some(Finding::MoreKernelMode { count: more_kernel });
            inspection.notes.extend(more_kernel.into_iter().chain(more).map(|finding| finding.record()));
        }
    }
}

/// Everything that has to touch the bytes, on a thread that may block.
fn read(
    mut subject: Subject,
    signatures: &[NewSignature],
    (keys, rule): (&[TrustedKey], SignatureRule),
    manifest: &str,
    limits: &ScanLimits,
) -> Read {
    let (mut scanned, mut authenticode, mut notes) = (Scanned::default(), Vec::new(), Vec::new());
    for StagedBody { artifact, bytes, is_signed, .. } in &mut subject.bodies {
        scanned.look_at(&artifact.target, bytes, limits);
        if let Some(signed) = authenticode_digest_of(bytes) {
            *is_signed = true;
            let target = artifact.target.clone();
            match signed.sha256 {
                Some(sha256) => authenticode.push(Authenticode { target, sha256, verified: None }),
                None => notes.push(undigested(&target)),
            }
        }
    }
    let bodies = subject.bodies.iter();
    let bodies: Vec<_> = bodies.map(|body| CoveredBody { target: &body.artifact.target, bytes: &body.bytes }).collect();
    let by = Signatures { product: &subject.product, rule, keys, manifest, bodies: &bodies };
    let (verified, unsigned) = check_signatures(signatures, &by);
    Read { scanned, verified, unsigned, authenticode, notes, subject }
}

fn undigested(target: &TargetName) -> GateFinding {
    let text =
        format!("{target}: it is signed, and its headers contradict one another, so it has no Authenticode digest");
    GateFinding { gate: "authenticode".to_owned(), target: Some(target.to_string()), text }
}

/// Whether every share that shows the product can take the release's names.
fn names(
    snapshot: &Snapshot,
    policy: Option<&Policy>,
    manifest: &crate::model::ReleaseManifest,
    now: Timestamp,
    inspection: &mut Inspection,
    findings: &mut Vec<Finding>,
) {
    let Some(policy) = policy else { return };
    for NameProblem { share, layout, why, is_name } in name_problems(snapshot, policy, manifest, now) {
        if is_name {
            findings.push(Finding::Names { share, layout, why });
        } else {
            let text = format!("share {share} ({layout}): {why}");
            inspection.notes.push(GateFinding { gate: "names".to_owned(), target: None, text });
        }
    }
}
