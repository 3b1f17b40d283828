//! What a call signs with: one clock reading, and the credentials of each signer at that time.

use std::{sync::Arc, time::SystemTime};

use crate::{
    credentials::{Signer, sessions::SessionError},
    generation::Generation,
    presign::{error::Error as CoreError, snapshot::Snapshot},
    service::{ServiceState, failure::Failure},
};

/// One clock reading and one snapshot of each signer, for everything that a message asks to sign.
pub(in crate::service) struct CallSnapshot {
    now: SystemTime,
    generation: Arc<Generation>,
    /// In the order of the generation's signers.
    credentials: Vec<Option<Arc<Snapshot>>>,
    /// For directory buckets.
    sessions: Vec<BucketSession>,
}

/// The session of a directory bucket, or why there is none.
pub(in crate::service) struct BucketSession {
    pub(in crate::service) signer: Arc<Signer>,
    pub(in crate::service) bucket: Box<str>,
    pub(in crate::service) outcome: Result<Arc<Snapshot>, SessionError>,
}

impl CallSnapshot {
    /// Reads the clock and takes what each signer has now.
    pub(in crate::service) fn take(state: &ServiceState) -> Self {
        Self::of(state, state.generations.current(), Vec::new())
    }

    /// The same generation with what its signers have now, and these sessions: to be taken after something was waited for.
    pub(in crate::service) fn retake(&self, state: &ServiceState, sessions: Vec<BucketSession>) -> Self {
        Self::of(state, Arc::clone(&self.generation), sessions)
    }

    fn of(state: &ServiceState, generation: Arc<Generation>, sessions: Vec<BucketSession>) -> Self {
        let credentials = generation.signers().iter().map(|signer| signer.snapshot()).collect();
        Self { now: state.clock.now(), generation, credentials, sessions }
    }

    pub(in crate::service) fn now(&self) -> SystemTime {
        self.now
    }

    pub(in crate::service) fn signers(&self) -> &[Arc<Signer>] {
        self.generation.signers()
    }

    /// A signer by its name.
    pub(in crate::service) fn signer(&self, name: &str) -> Result<&Arc<Signer>, Failure> {
        let index = self.generation.index_of(name).ok_or_else(|| Failure::UnknownSigner {
            name: name.chars().take(64).collect(),
            known: self.generation.names(),
        })?;
        Ok(&self.signers()[index])
    }

    /// What a signer of this snapshot signs with.
    pub(in crate::service) fn credentials_of(&self, signer: &Arc<Signer>) -> Result<&Arc<Snapshot>, Failure> {
        let index = self.signers().iter().position(|known| Arc::ptr_eq(known, signer));
        let found = index.and_then(|index| self.credentials[index].as_ref());
        found.ok_or_else(|| Failure::NoCredentials { signer: signer.name().to_owned() })
    }

    /// Everything that may have signed a URL that is in use: what each signer has now, its sessions, and what it had
    /// before.
    pub(in crate::service) fn known_credentials(&self) -> Vec<Arc<Snapshot>> {
        let present = self.credentials.iter().flatten().cloned();
        let sessions = self.signers().iter().flat_map(|signer| signer.sessions().snapshots());
        let past = self.signers().iter().flat_map(|signer| signer.previous_snapshots(self.now));
        present.chain(sessions).chain(past).collect()
    }

    /// What signs for a directory bucket.
    pub(in crate::service) fn session(
        &self,
        signer: &Arc<Signer>,
        bucket: &str,
    ) -> Result<&Arc<Snapshot>, Failure> {
        let is_it =
            |session: &&BucketSession| Arc::ptr_eq(&session.signer, signer) && *session.bucket == *bucket;
        let session = self.sessions.iter().find(is_it).ok_or(CoreError::NeedsSession)?;
        Ok(session.outcome.as_ref().map_err(Clone::clone)?)
    }
}
