"""DocuWorks documents (`.xdw`) and binders (`.xbd`), read in the parse child; docs/docuworks.md tells the format."""
