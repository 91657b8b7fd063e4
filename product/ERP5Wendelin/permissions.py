"""Permission names and their default roles.

Roles: Manager administers; Contributor pushes, and reads what is not invalidated; Downloader reads what is
validated or published; Anonymous reads what is published. Which roles hold `View` on a data set follows from
its state (see `content.workflow`).
"""

View = "View"
AccessContentsInformation = "Access contents information"
ModifyPortalContent = "Modify portal content"
ViewManagementScreens = "View management screens"
ChangePythonScripts = "Change Python Scripts"

AddDataSet = "Wendelin: Add Data Set"
PushData = "Wendelin: Push Data"
UseOwnAccount = "Wendelin: Use Own Account"

DEFAULT_ROLES: dict[str, tuple[str, ...]] = {
    AddDataSet: ("Contributor", "Manager"),
    PushData: ("Contributor", "Manager"),
    ViewManagementScreens: ("Manager",),
    UseOwnAccount: ("Authenticated",),
}
