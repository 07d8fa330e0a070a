//! What the generator offers and demands in TLS.

use std::{fs::File, io::BufReader, path::Path, sync::Arc};

use anyhow::{Context, Result, bail};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::Resumption,
    crypto::{CryptoProvider, aws_lc_rs},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

/// The choices of the command line.
#[derive(Clone, Debug, Default)]
pub struct Choices<'a> {
    /// A file of trust anchors; the public ones if there is none.
    pub ca: Option<&'a Path>,
    /// The only cipher suite to offer.
    pub cipher: Option<&'a str>,
    /// The only key exchange to offer.
    pub key_exchange: Option<&'a str>,
    /// Whether sessions of TLS are resumed.
    pub resumption: bool,
}

/// The configuration of links that we open.
pub fn client(choices: &Choices<'_>) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    match choices.ca {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).with_context(|| format!("{} cannot be a trust anchor", path.display()))?;
            }
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let mut config = ClientConfig::builder_with_provider(provider(choices)?)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    if !choices.resumption {
        config.resumption = Resumption::disabled();
    }
    Ok(Arc::new(config))
}

/// The configuration of links that we accept.
pub fn server(choices: &Choices<'_>, certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
    let key = PrivateKeyDer::from_pem_file(key).with_context(|| format!("no private key in {}", key.display()))?;
    let mut config = ServerConfig::builder_with_provider(provider(choices)?)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates(certificate)?, key)
        .with_context(|| format!("{} cannot be used", certificate.display()))?;
    if !choices.resumption {
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    }
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_reader_iter(BufReader::new(file)).collect();
    let certificates = certificates.with_context(|| format!("{} is not PEM", path.display()))?;
    if certificates.is_empty() {
        bail!("no certificate in {}", path.display());
    }
    Ok(certificates)
}

fn provider(choices: &Choices<'_>) -> Result<Arc<CryptoProvider>> {
    let mut provider = aws_lc_rs::default_provider();
    if let Some(wanted) = choices.cipher {
        let known: Vec<String> = provider.cipher_suites.iter().map(|suite| format!("{:?}", suite.suite())).collect();
        provider.cipher_suites.retain(|suite| format!("{:?}", suite.suite()) == wanted);
        if provider.cipher_suites.is_empty() {
            bail!("--cipher {wanted}: give one of {}", known.join(", "));
        }
    }
    if let Some(wanted) = choices.key_exchange {
        let known: Vec<String> = provider.kx_groups.iter().map(|group| format!("{:?}", group.name())).collect();
        provider.kx_groups.retain(|group| format!("{:?}", group.name()).eq_ignore_ascii_case(wanted));
        if provider.kx_groups.is_empty() {
            bail!("--key-exchange {wanted}: give one of {}", known.join(", "));
        }
    }
    Ok(Arc::new(provider))
}
