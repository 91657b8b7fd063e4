"""Permission names, and the roles that have them in a site without business templates.

Roles: Manager administers; Anonymous reads what is published. The template of the security model brings Contributor,
who pushes, and reads what is not invalidated, and Downloader, who reads what is validated or published. Which roles
hold `View` on a data set follows from its state: workflows come with business templates, too.
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
    AddDataSet: ("Manager",),
    PushData: ("Manager",),
    ViewManagementScreens: ("Manager",),
    UseOwnAccount: ("Authenticated",),
}
