"""The service's entry: what it is, what time it is, and where its other objects are."""

from __future__ import annotations

from typing import Any

from pyVmomi import vim, vmodl

from .access import AuthorizationManager, CustomFieldsManager
from .collector import PropertyCollector
from .context import Context
from .hardware import identity
from .inventory import ROOT_FOLDER
from .managed import Call, ManagedObject, fill, now, soap_method
from .search import SearchIndex
from .sessions import SessionManager
from .tasks import TaskManager
from .views import ViewManager


class ServiceInstance(ManagedObject):
    vim_type = vim.ServiceInstance

    @soap_method("RetrieveServiceContent")
    def content(self, call: Call) -> Any:
        return self.properties["content"]

    @soap_method("CurrentTime")
    def current_time(self, call: Call) -> Any:
        return now()


def build_service(context: Context, attributes: list[str]) -> None:
    """Make the service's own objects. The inventory is there already."""
    context.tasks = TaskManager(context, "TaskManager")
    SessionManager(context, "SessionManager")
    PropertyCollector(context, "propertyCollector")
    ViewManager(context, "ViewManager")
    SearchIndex(context, "SearchIndex")
    AuthorizationManager(context, "AuthorizationManager")
    CustomFieldsManager(context, "CustomFieldsManager", attributes)
    content = vim.ServiceInstanceContent(
        rootFolder=vim.Folder(ROOT_FOLDER),
        propertyCollector=vmodl.query.PropertyCollector("propertyCollector"),
        viewManager=vim.view.ViewManager("ViewManager"),
        sessionManager=vim.SessionManager("SessionManager"),
        searchIndex=vim.SearchIndex("SearchIndex"),
        taskManager=vim.TaskManager("TaskManager"),
        authorizationManager=vim.AuthorizationManager("AuthorizationManager"),
        customFieldsManager=vim.CustomFieldsManager("CustomFieldsManager"),
        about=vim.AboutInfo(
            name="VMware vCenter Server", fullName="VMware vCenter Server 8.0.2 (stand-in of the lab)", vendor="lab",
            version="8.0.2", build="0", osType="linux-x64", productLineId="vpx", apiType="VirtualCenter",
            apiVersion="8.0.2.0", instanceUuid=identity("vcenter", "lab"), localeVersion="INTL", localeBuild="000",
            licenseProductName="VMware VirtualCenter Server", licenseProductVersion="8.0",
        ),
    )  # fmt: skip
    ServiceInstance(context, "ServiceInstance", content=fill(content))
