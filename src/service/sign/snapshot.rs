//! The time and the credentials that a call signs with.

use std::{sync::Arc, time::SystemTime};

use crate::{
    credentials::{Signer, sessions::SessionError},
    generation::Generation,
    presign::{error::Error as CoreError, snapshot::Snapshot},
    service::{ServiceState, failure::Failure},
};

/// One clock reading and the credentials of each signer at that time, for all requests of a message.
pub(in crate::service) struct CallSnapshot {
    now: SystemTime,
    generation: Arc<Generation>,
    /// The credentials of each signer, in the order of the generation; `None` before the first ones are loaded.
    credentials: Vec<Option<Arc<Snapshot>>>,
    /// The sessions for directory buckets.
    sessions: Vec<BucketSession>,
}

/// The session of a directory bucket, or the error of S3.
pub(in crate::service) struct BucketSession {
    pub(in crate::service) signer: Arc<Signer>,
    pub(in crate::service) bucket: Box<str>,
    pub(in crate::service) outcome: Result<Arc<Snapshot>, SessionError>,
}

impl CallSnapshot {
    /// Reads the clock, and takes the current credentials of each signer.
    pub(in crate::service) fn take(state: &ServiceState) -> Self {
        Self::new(state, state.generations.current(), Vec::new())
    }

    /// A new snapshot of the same generation, with these sessions. It replaces this one after a wait.
    pub(in crate::service) fn retake(&self, state: &ServiceState, sessions: Vec<BucketSession>) -> Self {
        Self::new(state, Arc::clone(&self.generation), sessions)
    }

    fn new(state: &ServiceState, generation: Arc<Generation>, sessions: Vec<BucketSession>) -> Self {
        let credentials = generation.signers().iter().map(|signer| signer.snapshot()).collect();
        Self { now: state.clock.now(), generation, credentials, sessions }
    }

    pub(in crate::service) fn now(&self) -> SystemTime {
        self.now
    }

    pub(in crate::service) fn signers(&self) -> &[Arc<Signer>] {
        self.generation.signers()
    }

    /// The signer with this name.
    pub(in crate::service) fn signer(&self, name: &str) -> Result<&Arc<Signer>, Failure> {
        let index = self.generation.index_of(name).ok_or_else(|| Failure::UnknownSigner {
            name: name.chars().take(64).collect(),
            known: self.generation.names(),
        })?;
        Ok(&self.signers()[index])
    }

    /// The credentials of this signer.
    pub(in crate::service) fn credentials_of(&self, signer: &Arc<Signer>) -> Result<&Arc<Snapshot>, Failure> {
        let index = self.signers().iter().position(|known| Arc::ptr_eq(known, signer));
        let credentials = index.and_then(|index| self.credentials[index].as_ref());
        credentials.ok_or_else(|| Failure::NoCredentials { signer: signer.name().to_owned() })
    }

    /// All credentials that may have signed a URL that still works: the current ones of each signer, its sessions, and its
    /// earlier ones.
    pub(in crate::service) fn known_credentials(&self) -> Vec<Arc<Snapshot>> {
        let present = self.credentials.iter().flatten().cloned();
        let sessions = self.signers().iter().flat_map(|signer| signer.sessions().snapshots());
        let past = self.signers().iter().flat_map(|signer| signer.previous_snapshots(self.now));
        present.chain(sessions).chain(past).collect()
    }

    /// The session for this directory bucket.
    pub(in crate::service) fn session(
        &self,
        signer: &Arc<Signer>,
        bucket: &str,
    ) -> Result<&Arc<Snapshot>, Failure> {
        let matches =
            |session: &&BucketSession| Arc::ptr_eq(&session.signer, signer) && *session.bucket == *bucket;
        let session = self.sessions.iter().find(matches).ok_or(CoreError::NeedsSession)?;
        Ok(session.outcome.as_ref().map_err(Clone::clone)?)
    }
}
