"""Business templates: what a site is made of, in folders of ERP5's format (`reader`), as plain data (`template`)."""
