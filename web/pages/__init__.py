"""The scripts of the pages; Streamlit runs one per visit."""
