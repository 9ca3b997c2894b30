"""Certificates of residence (Meldebescheinigung, § 18 BMG): asking the register of residents, and issuing."""
