//! The work of one call: requests are signed one after the other, with one clock reading and one snapshot of each signer.

use std::{sync::Arc, time::SystemTime};

use prost::bytes::BytesMut;

use super::{
    Shared,
    answer::{Signed, Terms},
    request::{Defaults, Merged},
    sessions::Session,
    status::{Failure, code_name},
    wire::Item,
};
use crate::{
    clock::Stopwatch,
    credentials::Signer,
    metrics::Tally,
    presign::{
        self, Request, error::Error as CoreError, expiry::Seconds, presigned::Presigned, sign::Algorithm,
        signing::Signing, snapshot::Snapshot, target::Target,
    },
};

/// One clock reading and the credentials of that time, for all that a call signs.
pub(super) struct Moment {
    now: SystemTime,
    signers: Arc<Vec<Arc<Signer>>>,
    /// In their order.
    snapshots: Vec<Option<Arc<Snapshot>>>,
    /// For directory buckets.
    sessions: Vec<Session>,
}

impl Moment {
    pub(super) fn new(shared: &Shared) -> Self {
        let signers = shared.signers.all();
        let snapshots = signers.iter().map(|signer| signer.snapshot()).collect();
        Self { now: shared.clock.now(), signers, snapshots, sessions: Vec::new() }
    }
}

/// How a result is written.
pub(super) type Write = fn(&Signed<'_>, &mut BytesMut);

/// What signs the requests of one call.
pub(super) struct Work<'s> {
    shared: &'s Shared,
    moment: &'s Moment,
    ready: Vec<Ready<'s>>,
    /// The URL being written. Its memory serves every request.
    url: String,
    /// What was granted to the last one.
    terms: Option<Terms>,
    tally: Tally<'s>,
    /// What was done since the last look at the clock, in usual URLs.
    effort: usize,
}

/// A signer that is ready to sign for a target.
struct Ready<'s> {
    signer: &'s Signer,
    bucket: Box<str>,
    /// `reuse_window`, which decides the time that is signed for.
    window: Option<Seconds>,
    signing: Signing,
}

/// Bytes read or written that are as much work as a usual URL.
const EFFORT_BYTES: usize = 1024;

/// So much effort is between two looks at the clock: under 10 µs.
const LOOK: usize = 8;

/// How many targets are at hand in one call. A call that uses more gets them from the signer's snapshot each time.
const AT_HAND: usize = 8;

impl<'s> Work<'s> {
    pub(super) fn new(shared: &'s Shared, moment: &'s Moment) -> Self {
        let tally = Tally::new(&shared.metrics);
        Self { shared, moment, ready: Vec::new(), url: String::new(), terms: None, tally, effort: 0 }
    }

    /// Whether enough was done for a look at the clock; then it begins anew.
    pub(super) fn is_time_to_look(&mut self) -> bool {
        let due = self.effort >= LOOK;
        if due {
            self.effort = 0;
        }
        due
    }

    /// Counts what it takes to read a request of so many bytes.
    pub(super) fn reads(&mut self, bytes: usize) {
        self.effort += 1 + bytes / EFFORT_BYTES;
    }

    /// Signs one request, counts it, and has its result written to `out`.
    pub(super) fn sign(
        &mut self,
        own: &Item<'_>,
        defaults: Option<&Defaults<'_>>,
        write: Write,
        out: &mut BytesMut,
    ) -> Result<(), Failure> {
        let merged = Merged::new(own, defaults.map(Defaults::item));
        self.try_sign(merged, defaults, write, out).inspect_err(|failure| self.refused(merged, failure))
    }

    fn try_sign(
        &mut self,
        merged: Merged<'_>,
        defaults: Option<&Defaults<'_>>,
        write: Write,
        out: &mut BytesMut,
    ) -> Result<(), Failure> {
        let (own_message, own_parts);
        let parts = match defaults {
            Some(defaults) if merged.adds_no_parts() => defaults.parts()?,
            Some(defaults) if !merged.has_own_operation() => {
                own_parts = merged.parts(defaults.message())?;
                &own_parts
            }
            _ => {
                own_message = merged.message()?;
                own_parts = merged.parts(own_message.as_ref())?;
                &own_parts
            }
        };
        let request = merged.to_core(parts)?;
        let place = self.ready(merged, &request)?;
        let presigned = self.presign(&request, place)?;
        let terms = match self.terms.take() {
            Some(same) if same.are_of(&presigned) => same,
            _ => Terms::new(presigned),
        };
        let before = out.len();
        write(&Signed { url: &self.url, request: &request, terms: &terms }, out);
        self.effort += (out.len() - before) / EFFORT_BYTES;
        self.terms = Some(terms);
        Ok(())
    }

    /// The signing stage.
    fn presign(&mut self, request: &Request<'_>, place: usize) -> Result<Presigned, Failure> {
        let Ready { signer, signing, .. } = &self.ready[place];
        if signing.algorithm() == Algorithm::SigV4A {
            self.effort += LOOK;
        }
        self.url.clear();
        let presigned = if self.tally.wants_time(signing.algorithm()) {
            let watch = Stopwatch::start();
            let presigned = presign::presign(request, signing, &mut self.url)?;
            self.tally.timed(signing.algorithm(), watch.elapsed());
            presigned
        } else {
            presign::presign(request, signing, &mut self.url)?
        };
        self.tally.signed(signer.metrics(), request.operation, signing.target().kind(), &presigned);
        Ok(presigned)
    }

    /// The place of what signs for a request's signer and target.
    fn ready(&mut self, merged: Merged<'_>, request: &Request<'_>) -> Result<usize, Failure> {
        let (name, bucket, window) = (merged.signer(), merged.bucket(), merged.reuse_window()?);
        let same = |ready: &Ready<'_>| {
            ready.signer.name() == name && *ready.bucket == *bucket && ready.window == window
        };
        if let Some(place) = self.ready.iter().position(same) {
            return Ok(place);
        }
        let (signer, snapshot) = self.moment.signer(name)?;
        let Some(snapshot) = snapshot else {
            // What can never work is said at once, with credentials or without.
            bucket.parse::<Target>()?;
            presign::check(request)?;
            return Err(Failure::NoCredentials { signer: signer.name().to_owned() });
        };
        let now = self.moment.now;
        let signing = match snapshot.signing_in_window(bucket, now, window, request.expires_in) {
            Err(CoreError::NeedsSession) => {
                let session = self.moment.session(signer, bucket)?;
                session.signing_in_window(bucket, now, window, request.expires_in)?
            }
            other => other?,
        };
        if self.ready.len() == AT_HAND {
            self.ready.remove(0);
        }
        self.ready.push(Ready { signer, bucket: bucket.into(), window, signing });
        Ok(self.ready.len() - 1)
    }

    fn refused(&self, merged: Merged<'_>, failure: &Failure) {
        let signer = self.moment.signer(merged.signer()).map_or("unknown", |(signer, _)| signer.name());
        let target = merged.bucket().parse::<Target>().map_or("unknown", |target| target.kind().as_str());
        let operation = merged.operation().map_or("unknown", |operation| operation.name);
        self.shared.metrics.url_refused(operation, target, signer, code_name(failure.code()));
    }
}

impl Moment {
    /// When it is.
    pub(super) fn now(&self) -> SystemTime {
        self.now
    }

    /// The same credentials with these sessions, now: they had to be waited for.
    pub(super) fn with_sessions(self, shared: &Shared, sessions: Vec<Session>) -> Self {
        Self { now: shared.clock.now(), sessions, ..self }
    }

    /// What signs for a directory bucket.
    fn session(&self, signer: &Signer, bucket: &str) -> Result<&Arc<Snapshot>, Failure> {
        let known = self.sessions.iter().find_map(|session| session.of(signer, bucket));
        Ok(known.ok_or(CoreError::NeedsSession)??)
    }

    /// A signer, with its credentials at this moment.
    pub(super) fn signer(&self, name: &str) -> Result<(&Arc<Signer>, Option<&Arc<Snapshot>>), Failure> {
        let place = self.signers.iter().position(|signer| signer.name() == name);
        let place = place.ok_or_else(|| Failure::UnknownSigner {
            name: name.chars().take(64).collect(),
            known: self.signers.iter().map(|signer| signer.name()).collect::<Vec<_>>().join(", "),
        })?;
        Ok((&self.signers[place], self.snapshots.get(place).and_then(Option::as_ref)))
    }
}
