//! Anchored sessions: what was negotiated by SDP meets at two tokens of ours.

mod abort;
mod apart;
mod certificate;
mod early;
mod loss;
mod property;
mod release;
mod roles;
mod scene;
mod shards;
mod through;
mod through_shards;
mod traffic;
mod update;
