"""The dispatcher: a driver made of drivers. It sees hosts through drivers alone and knows no HTTP."""

from interlink.dispatcher.dispatcher import Dispatcher
from interlink.dispatcher.settings import Settings

__all__ = ["Dispatcher", "Settings"]
