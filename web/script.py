"""The script that Streamlit runs for every visitor: the frame, with the page they asked for in it."""

from web.frame import banner, footer, navigation

page = navigation()
banner(keeps_taught=False)
page.run()
footer()
