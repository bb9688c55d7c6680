"""What a browser test serves: the scripted app with the middleware of the real one."""

from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from ui.server import SecurityHeaders

app = st.App(Path(__file__).with_name("scripted_app.py"), middleware=[Middleware(SecurityHeaders)])
