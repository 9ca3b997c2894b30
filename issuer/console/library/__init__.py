"""The librarian's pages under ``/office/library``: members, new cards, blocks, new numbers, families."""
