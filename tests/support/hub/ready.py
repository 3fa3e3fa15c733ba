"""To be imported by a process before others are forked from it: the client's session, whose certificates take longer to read than a request."""

from huggingface_hub.utils import get_session

get_session()
