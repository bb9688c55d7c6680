"""The connection to a service of models: OpenAI's own, Azure's, or any that speaks the same way.

| set | is |
|---|---|
| OPENAI_API_KEY, OPENAI_BASE_URL | OpenAI, or a server that offers the same interface |
| AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY or AZURE_OPENAI_AD_TOKEN | Azure OpenAI, its interface without versions |
| and OPENAI_API_VERSION | Azure OpenAI, the dated interface; models are named by deployment |

Azure's go before OPENAI_BASE_URL: whoever sets them means them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ingest.errors import ConfigurationError

if TYPE_CHECKING:
    import openai

VARIABLES = (
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
    "AZURE_OPENAI_ENDPOINT",
    "AZURE_OPENAI_API_KEY",
    "AZURE_OPENAI_AD_TOKEN",
    "OPENAI_API_VERSION",
)


def client_from(environ: Mapping[str, str]) -> openai.OpenAI:
    """The client that the environment describes; its own retries are switched off.

    Raises:
        ConfigurationError: a credential is missing, or an address is none.
    """
    import openai  # a third of a second that quoted answers need not wait for

    given = {name: environ[name].strip() for name in VARIABLES if environ.get(name, "").strip()}
    endpoint = given.get("AZURE_OPENAI_ENDPOINT")
    if endpoint is None:
        if "OPENAI_API_KEY" not in given:
            raise ConfigurationError(
                "QUOTH_MODELS or QUOTH_EMBEDDER names an OpenAI model, but OPENAI_API_KEY is not set."
            )
        return openai.OpenAI(
            api_key=given["OPENAI_API_KEY"],
            base_url=given.get("OPENAI_BASE_URL"),
            organization=given.get("OPENAI_ORG_ID"),
            project=given.get("OPENAI_PROJECT_ID"),
            max_retries=0,
        )
    if not endpoint.startswith(("https://", "http://")):
        raise ConfigurationError(f"AZURE_OPENAI_ENDPOINT={endpoint!r} must be an address that begins with https://.")
    token, key = given.get("AZURE_OPENAI_AD_TOKEN"), given.get("AZURE_OPENAI_API_KEY")
    credential = token or key
    if credential is None:
        raise ConfigurationError(
            "AZURE_OPENAI_ENDPOINT is set, but neither AZURE_OPENAI_API_KEY nor AZURE_OPENAI_AD_TOKEN is."
        )
    version = given.get("OPENAI_API_VERSION")
    if version is None:
        base = endpoint.rstrip("/").removesuffix("/openai/v1").removesuffix("/openai")
        return openai.OpenAI(api_key=credential, base_url=f"{base}/openai/v1/", max_retries=0)
    return openai.AzureOpenAI(
        azure_endpoint=endpoint, api_version=version, azure_ad_token=token, api_key=None if token else key,
        max_retries=0,
    )  # fmt: skip


def has_credential(environ: Mapping[str, str]) -> bool:
    """Whether `client_from` finds what it needs."""
    names = ("AZURE_OPENAI_AD_TOKEN", "AZURE_OPENAI_API_KEY") if environ.get("AZURE_OPENAI_ENDPOINT") else ()
    return any(environ.get(name, "").strip() for name in names or ("OPENAI_API_KEY",))


def asynchronous(client: openai.OpenAI) -> openai.AsyncOpenAI:
    """The same connection for an event loop."""
    import openai

    if isinstance(client, openai.AzureOpenAI):
        token = client._azure_ad_token
        return openai.AsyncAzureOpenAI(
            azure_endpoint=str(client.base_url).split("/openai")[0],
            api_version=client._api_version,
            azure_ad_token=token,
            api_key=None if token else client.api_key,
            default_headers=client._custom_headers,
            max_retries=0,
        )
    return openai.AsyncOpenAI(
        api_key=client.api_key,
        organization=client.organization,
        project=client.project,
        base_url=client.base_url,
        default_headers=client._custom_headers,
        max_retries=0,
    )
