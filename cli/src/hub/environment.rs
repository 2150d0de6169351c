//! What the environment says about the hub: its address, who asks, and whether to ask at all.

use std::env;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use ureq::http::Uri;

const ENDPOINT: &str = "https://huggingface.co";

/// Where the hub is, and as whom to ask it. No `Debug`: a token is never shown.
pub(super) struct Hub {
    /// `https://host`, perhaps with a path, without a final slash.
    pub(super) endpoint: String,
    pub(super) token: Option<String>,
}

impl Hub {
    /// By the variables that Hugging Face's own programs heed.
    pub(super) fn from_env() -> Result<Self> {
        for variable in ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"] {
            if set(variable).is_some_and(|value| is_true(&value)) {
                bail!("{variable} is set, so the hub is not asked; unset it, or put the model in place by hand");
            }
        }
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let uri: Option<Uri> = endpoint.parse().ok();
        let sound = uri.is_some_and(|uri| {
            ["http", "https"].contains(&uri.scheme_str().unwrap_or_default())
                && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
                && uri.query().is_none()
        });
        if !sound {
            bail!("HF_ENDPOINT is not the address of a hub; it looks like {ENDPOINT}");
        }
        Ok(Self { endpoint, token: token()? })
    }
}

fn token() -> Result<Option<String>> {
    if set("HF_HUB_DISABLE_IMPLICIT_TOKEN").is_some_and(|value| is_true(&value)) {
        return Ok(None);
    }
    let given = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"].iter().find_map(|name| Some(((*name).to_owned(), set(name)?)));
    let (from, token) = match given {
        Some(given) => given,
        None => {
            let named = set("HF_TOKEN_PATH").map(PathBuf::from);
            let Some(path) = named.clone().or_else(|| Some(hugging_face_home()?.join("token"))) else {
                return Ok(None);
            };
            match fs::read_to_string(&path) {
                Ok(token) => (path.display().to_string(), token),
                Err(error) if named.is_some() => {
                    return Err(error).with_context(|| format!("cannot read the token in {}", path.display()));
                }
                Err(_) => return Ok(None),
            }
        }
    };
    let token = token.trim();
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!("{from} holds no token: there are characters in it that no token has");
    }
    Ok((!token.is_empty()).then(|| token.to_owned()))
}

fn hugging_face_home() -> Option<PathBuf> {
    let cache = || set("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cache")));
    set("HF_HOME").map(PathBuf::from).or_else(|| Some(cache()?.join("huggingface")))
}

fn set(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|value| !value.is_empty())
}

fn is_true(value: &str) -> bool {
    ["1", "ON", "YES", "TRUE"].contains(&value.to_ascii_uppercase().as_str())
}
