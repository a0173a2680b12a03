"""Servers as infrastructure as code: a writer for each tool whose files a team may keep them in.

Pure functions of what the cloud has (`longshore.model.as_built`); nobody is asked anything here. What each of them
writes, a tool has to take for what is there already, so that it plans nothing: docs/decisions/landed-as-code.md has the
traps. Texts go out by `longshore.border` alone.
"""

from longshore.iac.writing import Code, written

__all__ = ["Code", "written"]
